import type { ReactNode } from 'react';
import { Icon, type IconName } from './Icon.tsx';

interface EmptyProps {
  icon: IconName;
  title: string;
  hint: string;
  isAlert?: boolean;
  /** Actions. */
  children?: ReactNode;
}

/** An empty state: why it is empty, and what to do. */
export function Empty({ icon, title, hint, isAlert, children }: EmptyProps) {
  const Title = isAlert ? 'h1' : 'h2';
  return (
    <div className="empty" role={isAlert ? 'alert' : undefined}>
      <Icon name={icon} size={48} />
      <Title>{title}</Title>
      <p>{hint}</p>
      {children}
    </div>
  );
}
