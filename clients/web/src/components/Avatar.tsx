import { initials, shadeOf } from '../format.ts';

interface AvatarProps {
  /** Determines the colour. */
  id: string;
  name: string;
  size?: 'small' | 'large';
  /** Shows the presence dot, which is hidden from screen readers. */
  online?: boolean;
}

/** Initials instead of a picture, which would be a request to a third party. */
export function Avatar({ id, name, size, online }: AvatarProps) {
  return (
    <span className={`avatar ${size ?? ''}`} data-shade={shadeOf(id)} data-initials={initials(name)} aria-hidden="true">
      {online && <span className="dot" />}
    </span>
  );
}
