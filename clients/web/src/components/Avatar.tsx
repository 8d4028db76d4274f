import { initials, shadeOf } from '../format.ts';

interface AvatarProps {
  /** Whose shade it is. */
  id: string;
  name: string;
  size?: 'small' | 'large';
  /** Shows the dot; who reads with the ears is told elsewhere. */
  online?: boolean;
}

/** Initials, since a picture would be a request to somebody else's server. */
export function Avatar({ id, name, size, online }: AvatarProps) {
  return (
    <span className={`avatar ${size ?? ''}`} data-shade={shadeOf(id)} data-initials={initials(name)} aria-hidden="true">
      {online && <span className="dot" />}
    </span>
  );
}
