import type { ReactNode } from 'react';

const drawings = {
  pen: <path d="M4 20h4L19 9a2.8 2.8 0 0 0-4-4L4 16v4Zm9.5-13.5 4 4" />,
  more: <path d="M12 6h.01M12 12h.01M12 18h.01" strokeWidth="3" />,
  back: <path d="m15 5-7 7 7 7" />,
  down: <path d="m5 9 7 7 7-7" />,
  up: <path d="M12 19V5m-6 6 6-6 6 6" />,
  sun: <path d="M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm0-13v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1" />,
  moon: <path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z" />,
  screen: <path d="M4 5h16v11H4zM9 20h6" />,
  leave: <path d="M14 4h5v16h-5M4 12h10m-4-4 4 4-4 4" transform="matrix(-1 0 0 1 24 0)" />,
  devices: <path d="M17 6V5H4v10h8M2.5 19H12M15 9h6v11h-6zM18 17h.01" />,
  block: <path d="M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM5.8 5.8l12.4 12.4" />,
  close: <path d="m6 6 12 12M18 6 6 18" />,
  tick: <path d="m5 12.5 4.5 4.5L19 7.5" />,
  bubble: <path d="M7 4h10a4 4 0 0 1 4 4v5a4 4 0 0 1-4 4h-5l-5 4v-4a4 4 0 0 1-4-4V8a4 4 0 0 1 4-4Z" strokeWidth="1.4" />,
  smile: <path d="M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm-3.5-7.5a4.2 4.2 0 0 0 7 0M9 9.5h.01M15 9.5h.01" />,
  search: <path d="M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4.5 4.5" />,
  settings: <path d="M4 7h9m5 0h2M4 17h3m5 0h8M15.5 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm-6 10a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z" />,
  keyboard: <path d="M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M18 11h.01M8 14h8" />,
  copy: <path d="M9 9h10v11H9zM5 15V4h10" />,
  again: <path d="M19 12a7 7 0 1 1-2.5-5.4M19 4v4h-4" />,
  bin: <path d="M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13" />,
  offline: <path d="M3 3l18 18M5 12.5a10 10 0 0 1 4-2.4M2 8.8A15 15 0 0 1 7 6M11 5a15 15 0 0 1 11 3.8M14.5 10.3a10 10 0 0 1 4.5 2.2M8.5 16a5 5 0 0 1 7 0M12 20h.01" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof drawings;

/** Icons with a direction, which are mirrored in right-to-left languages. */
const directed = new Set<IconName>(['back', 'leave']);

/** A decorative icon beside a label; never alone. */
export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg className={directed.has(name) ? 'icon directed' : 'icon'} style={{ width: `${size / 16}rem`, height: `${size / 16}rem` }} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {drawings[name]}
    </svg>
  );
}

export function Logo({ size = 40 }: { size?: number }) {
  return (
    <svg className="icon logo" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <path fill="currentColor" d="M8 4h16a6 6 0 0 1 6 6v8a6 6 0 0 1-6 6h-9l-7 5v-5a6 6 0 0 1-6-6v-8a6 6 0 0 1 6-6z" />
      <path stroke="var(--on-accent)" strokeWidth="2.4" strokeLinecap="round" d="M10 12h12M10 17h7" />
    </svg>
  );
}
