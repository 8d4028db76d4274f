import type { ReactNode } from 'react';
import type { DeliveryStatus } from 'chat-client';
import { strings } from '../strings.ts';

// Different shapes, not only colours: a clock, one tick, two ticks, and two heavier ones in a tint.
const drawings: Record<DeliveryStatus, ReactNode> = {
  sending: (
    <>
      <circle cx="10" cy="7" r="5" />
      <path d="M10 4.4V7l1.8 1.2" />
    </>
  ),
  sent: <path d="m5.5 7.5 3 3 6-6.5" />,
  delivered: <path d="m2.5 7.5 3 3 6-6.5M9.2 10.2l.4.3 6-6.5" />,
  read: <path d="m2.5 7.5 3 3 6-6.5M9.2 10.2l.4.3 6-6.5" strokeWidth="2.2" />,
  failed: (
    <>
      <circle cx="10" cy="7" r="5.6" />
      <path d="M10 4.2v3.2M10 9.8h.01" />
    </>
  ),
};

/** The delivery status of the user's own message. */
export function DeliveryStatusIcon({ status }: { status: DeliveryStatus }) {
  const label = strings.message.statuses[status];
  return (
    <svg className={`icon delivery-status ${status}`} data-status={status} role="img" aria-label={label} viewBox="0 0 20 14" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round">
      <title>{label}</title>
      {drawings[status]}
    </svg>
  );
}
