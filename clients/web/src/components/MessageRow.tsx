import type { TimelineItem } from 'chat-client';
import { memo, useEffect, useRef, type KeyboardEvent, type MouseEvent, type PointerEvent } from 'react';
import { fullTime, timeOfDay } from '../format.ts';
import { isBig } from '../markup.ts';
import { strings } from '../strings.ts';
import { Icon } from './Icon.tsx';
import { DeliveryStatusIcon } from './DeliveryStatusIcon.tsx';
import { MessageText } from './MessageText.tsx';

/** Actions on a message. The object is stable while messages change. */
export interface MessageActions {
  readonly retry: (tempId: string) => void;
  readonly discard: (tempId: string) => void;
  /** Opens the menu at an element. */
  readonly openMenu: (item: TimelineItem, anchor: HTMLElement) => void;
}

interface MessageRowProps {
  item: TimelineItem;
  /** The first and the last of a group. */
  first: boolean;
  last: boolean;
  /** It arrived while the list was open. */
  fresh: boolean;
  /** The target of keyboard navigation. */
  current: boolean;
  name: string;
  actions: MessageActions;
}

const longPress = 500;
const moveTolerance = 8;

/** One message. Its content is only ever rendered as text. */
export const MessageRow = memo(function MessageRow({ item, first, last, fresh, current, name, actions }: MessageRowProps) {
  const words = strings.message;
  const row = useRef<HTMLDivElement>(null);
  const more = useRef<HTMLButtonElement>(null);
  const press = useLongPress(() => actions.openMenu(item, more.current!));
  const failed = item.status === 'failed';
  const big = isBig(item.content);
  // The time is shown at the last message of a group, and on hover at the others.
  const isStamped = last || failed || item.status === 'sending';

  useEffect(() => {
    if (current) row.current?.focus();
  }, [current]);

  const onKeyDown = (event: KeyboardEvent) => {
    const opensMenu = event.key === 'Enter' || event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey);
    if (event.target !== row.current || !opensMenu) return;
    event.preventDefault();
    actions.openMenu(item, more.current!);
  };

  const at = new Date(item.at);
  const stamp = (className: string) => (
    <span className={className} title={fullTime(at)}>
      <time dateTime={item.at}>{timeOfDay(at)}</time>
      {item.status && <DeliveryStatusIcon status={item.status} />}
    </span>
  );
  const classes = ['row', item.isOwn && 'own', first && 'first', last && 'last', fresh && 'fresh', big && 'big'].filter(Boolean).join(' ');
  return (
    <div
      ref={row}
      className={classes}
      data-seq={item.message?.seq}
      data-key={item.key}
      role="article"
      tabIndex={current ? 0 : -1}
      onKeyDown={onKeyDown}
    >
      <div className={failed ? 'bubble failed' : 'bubble'} {...press}>
        <span className="hidden">{item.isOwn ? words.fromYou : words.from(name)}</span>
        <div className="content" dir="auto">
          <MessageText content={item.content} />
          {isStamped && stamp('stamp')}
        </div>
        <div className="aside">
          <button
            ref={more}
            type="button"
            className="more"
            tabIndex={-1}
            aria-haspopup="menu"
            aria-label={words.more}
            title={words.more}
            onClick={() => actions.openMenu(item, more.current!)}
          >
            <Icon name="more" size={18} />
          </button>
          {!isStamped && stamp('stamp beside')}
        </div>
      </div>
      {failed && (
        <div className="failure" role="alert">
          <span>
            {words.failed} {item.error && strings.errors[item.error]}
          </span>
          <button type="button" className="link" onClick={() => actions.retry(item.tempId!)}>
            {words.retry}
          </button>
          <button type="button" className="link" onClick={() => actions.discard(item.tempId!)}>
            {words.discard}
          </button>
        </div>
      )}
    </div>
  );
});

/** A long press by touch. A mouse has a button for the menu. */
function useLongPress(act: () => void) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const from = useRef({ x: 0, y: 0 });
  const stop = () => clearTimeout(timer.current);
  useEffect(() => stop, []);
  return {
    onPointerDown(event: PointerEvent) {
      if (event.pointerType !== 'touch') return;
      from.current = { x: event.clientX, y: event.clientY };
      timer.current = setTimeout(act, longPress);
    },
    onPointerMove(event: PointerEvent) {
      if (Math.hypot(event.clientX - from.current.x, event.clientY - from.current.y) > moveTolerance) stop();
    },
    onPointerUp: stop,
    onPointerCancel: stop,
    onContextMenu(event: MouseEvent) {
      // The browser's own context menu for the long press.
      if ((event.nativeEvent as globalThis.PointerEvent).pointerType === 'touch') event.preventDefault();
    },
  };
}

interface BeginningProps {
  name: string;
  state: 'idle' | 'loading' | 'failed' | 'done';
  isEmpty: boolean;
  onRetry: () => void;
}

/** Shown above the oldest loaded message. Its height is fixed, so that nothing jumps. */
export function Beginning({ name, state, isEmpty, onRetry }: BeginningProps) {
  const words = strings.conversation;
  if (state === 'idle' || state === 'loading')
    return (
      <div className="beginning" role={state === 'loading' ? 'status' : undefined}>
        <span className="waiting" aria-hidden="true" />
        {state === 'loading' && <span className="hidden">{words.loadingOlder}</span>}
      </div>
    );
  return (
    <div className="beginning">
      {state === 'failed' ? (
        <p>
          {words.olderFailed}{' '}
          <button type="button" className="link" onClick={onRetry}>
            {strings.list.retry}
          </button>
        </p>
      ) : (
        <p>{isEmpty ? words.sayHello(name) : words.beginning(name)}</p>
      )}
    </div>
  );
}

/** The typing indicator, or the space for it. */
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
