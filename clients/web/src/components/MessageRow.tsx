import type { TimelineItem } from 'chat-client';
import { memo } from 'react';
import { timeOfDay } from '../format.ts';
import { strings } from '../strings.ts';
import { Mark } from './Mark.tsx';

const words = strings.message;

interface MessageRowProps {
  item: TimelineItem;
  /** The first and the last of those that stand together. */
  first: boolean;
  last: boolean;
  name: string;
  onRetry: (tempId: string) => void;
  onDrop: (tempId: string) => void;
}

/** One message. What it says is text, and is never read as anything else. */
export const MessageRow = memo(function MessageRow({ item, first, last, name, onRetry, onDrop }: MessageRowProps) {
  const failed = item.mark === 'failed';
  const side = `row${item.isOwn ? ' own' : ''}${first ? ' first' : ''}${last ? ' last' : ''}`;
  return (
    <div className={side} data-seq={item.message?.seq}>
      <div className={failed ? 'bubble failed' : 'bubble'}>
        <span className="hidden">{item.isOwn ? words.fromYou : words.from(name)}</span>
        <div className="text" dir="auto">
          {item.content}
        </div>
        <div className="stamp">
          <time dateTime={item.at}>{timeOfDay(new Date(item.at))}</time>
          {item.mark && <Mark name={item.mark} />}
        </div>
      </div>
      {failed && (
        <div className="failure" role="alert">
          <span>
            {words.failed} {item.error && words.reasons[item.error]}
          </span>
          <button type="button" className="link" onClick={() => onRetry(item.tempId!)}>
            {words.retry}
          </button>
          <button type="button" className="link" onClick={() => onDrop(item.tempId!)}>
            {words.drop}
          </button>
        </div>
      )}
    </div>
  );
});

interface BeginningProps {
  name: string;
  state: 'idle' | 'loading' | 'failed' | 'done';
  isEmpty: boolean;
  onRetry: () => void;
}

/** What stands above the oldest message that is there. Always of the same height, so that nothing jumps. */
export function Beginning({ name, state, isEmpty, onRetry }: BeginningProps) {
  return (
    <p className="beginning">
      {state === 'failed' ? (
        <>
          {strings.conversation.olderFailed}{' '}
          <button type="button" className="link" onClick={onRetry}>
            {strings.list.retry}
          </button>
        </>
      ) : state === 'done' ? (
        isEmpty ? strings.conversation.sayHello(name) : strings.conversation.beginning(name)
      ) : (
        strings.conversation.loadingOlder
      )}
    </p>
  );
}

/** Somebody is writing, or nothing but room. */
export function EndOfList({ typing, name }: { typing: boolean; name: string }) {
  return (
    <div className="row first end">
      {typing && (
        <div className="bubble typing-bubble" role="img" aria-label={strings.conversation.typingOf(name)}>
          <i />
          <i />
          <i />
        </div>
      )}
    </div>
  );
}
