import { strings } from '../strings.ts';

/** Placeholder for conversations that are being loaded. */
export function ListSkeleton() {
  return (
    <div className="conversations" role="status" aria-label={strings.loading}>
      {[64, 48, 72, 56].map((width) => (
        <div className="skeleton" key={width}>
          <i />
          <span data-width={width} />
        </div>
      ))}
    </div>
  );
}

/** Placeholder for messages that are being loaded. */
export function MessagesSkeleton() {
  return (
    <div className="messages skeletons" role="status" aria-label={strings.loading}>
      {['', 'own', '', 'own own-short', ''].map((side, index) => (
        <div key={index} className={`skeleton-bubble ${side}`} />
      ))}
    </div>
  );
}
