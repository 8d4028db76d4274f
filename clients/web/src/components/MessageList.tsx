import type { ConversationState, TimelineItem } from 'chat-client';
import type { ConversationView, UnreadDivider } from 'chat-react';
import { useCallback, useEffect, useLayoutEffect, useImperativeHandle, useMemo, useRef, useState, type Ref } from 'react';
import { Virtualizer, type VirtualizerHandle } from 'virtua';
import { useNow } from '../hooks.ts';
import { useMessageKeys } from '../keys.ts';
import { number } from '../plurals.ts';
import { lastSeqAt, rowsOf, type Row } from '../rows.ts';
import { strings } from '../strings.ts';
import { Icon } from './Icon.tsx';
import { MenuList } from './Menu.tsx';
import { messageMenu } from './messageMenu.ts';
import { Beginning, EndOfList, MessageRow, type MessageActions } from './MessageRow.tsx';

const page = 200;
/** Older messages are loaded this far before the top. */
const ahead = 1500;
const slack = 40;
/** Space above the unread divider. */
const above = 80;
/** When no row has changed its height for this long, all rows around the divider have been measured. */
const measured = 150;

interface MessageListProps {
  view: ConversationView;
  conversation: ConversationState;
  name: string;
  /** The user's read cursor. */
  readUpTo: number;
  divider: UnreadDivider;
  /** Whether the window is active: only then are messages marked as read. */
  isActive: boolean;
  /** Whether new messages are live and the window is active. */
  isWatching: boolean;
  ref?: Ref<MessageListHandle>;
}

export interface MessageListHandle {
  /** Focuses the last message. */
  focusLast(): void;
}

/**
 * The virtualized message list. It sticks to the end while the user is there, and holds its position while they read elsewhere, whatever
 * is added before or after. Messages that arrive while the window is inactive do not scroll past the unread divider.
 */
export function MessageList({ view, conversation, name, readUpTo, divider, isActive, isWatching, ref }: MessageListProps) {
  const { items, hasOlder, isLoadingOlder, loadOlder, markRead, typists } = view;
  const words = strings.conversation;
  const today = useNow(60_000).toDateString();
  const rows = useMemo(() => rowsOf(items, divider.after, new Date(today)), [items, divider.after, today]);
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  const [isAtEnd, setAtEnd] = useState(true);
  /** Whether the list sticks to its end. */
  const follows = useRef(true);
  /** Whether messages arrived unwatched that have not been scrolled through yet. */
  const holds = useRef(true);
  const lastTop = useRef(0);
  const placed = useRef(false);
  /** Runs while the list is being scrolled to the unread divider: each measured height moves it. */
  const placing = useRef<ReturnType<typeof setTimeout>>(undefined);
  const stopPlacing = useCallback(() => {
    clearTimeout(placing.current);
    placing.current = undefined;
  }, []);
  if (!isWatching) holds.current = true;

  // Prepending keeps the distance to the end, appending the distance to the top.
  const first = items[0]?.key;
  const before = useRef(first);
  const prepends = before.current !== first && items.some((item) => item.key === before.current);
  useLayoutEffect(() => {
    before.current = first;
  }, [first]);

  const setFollows = useCallback((value: boolean) => {
    follows.current = value;
    setAtEnd(value);
  }, []);

  // Not by the virtualizer's own scrolling, which continues until everything is measured and would override the user's.
  const toDivider = useCallback(() => {
    const unread = rows.findIndex((row) => row.kind === 'unread');
    if (!scroller.current || unread < 0) return;
    scroller.current.scrollTop = list.current!.getItemOffset(unread) - above;
    clearTimeout(placing.current);
    placing.current = setTimeout(stopPlacing, measured);
  }, [rows, stopPlacing]);
  useEffect(() => stopPlacing, [stopPlacing]);

  const toEnd = useCallback(() => {
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  }, []);

  /** Scrolls to the end, but not past an unread divider that was not seen yet. */
  const keepUp = useCallback(() => {
    const element = scroller.current;
    if (!element || !follows.current || !placed.current || placing.current !== undefined) return;
    const unread = holds.current ? rows.findIndex((row) => row.kind === 'unread') : -1;
    if (unread < 0) return toEnd();
    const furthest = list.current!.getItemOffset(unread) - above;
    const end = element.scrollHeight - element.clientHeight;
    if (end <= furthest + slack) return toEnd();
    element.scrollTop = Math.max(element.scrollTop, furthest);
    setFollows(false);
  }, [rows, setFollows, toEnd]);

  const look = useCallback(() => {
    const element = scroller.current;
    if (!element || !list.current || !placed.current) return;
    // From the DOM: the virtualizer's values are a moment old.
    const { scrollTop, scrollHeight, clientHeight } = element;
    const isBottom = scrollHeight - clientHeight - scrollTop < slack;
    // Only scrolling up leaves the end, not content that grew.
    if (isBottom || scrollTop < lastTop.current) setFollows(isBottom);
    lastTop.current = scrollTop;
    if (scrollTop < ahead && hasOlder && !isLoadingOlder && conversation.history !== 'failed') void loadOlder(page).catch(() => undefined);
    if (isBottom && isWatching) holds.current = false;
    if (!isActive || conversation.unread === 0) return;
    const seq = isBottom ? lastSeqAt(rows, rows.length - 1) : lastSeqAt(rows, lastInView(list.current, rows.length, scrollTop, clientHeight));
    if (seq > readUpTo) markRead(seq);
  }, [
    rows, isActive, isWatching, conversation.unread, conversation.history, hasOlder, isLoadingOlder,
    readUpTo, loadOlder, markRead, setFollows,
  ]);

  // Resizes without the user's scrolling: estimated heights, messages, an on-screen keyboard, a growing composer. Stick to the end
  // first, so that the movement is not mistaken for scrolling up.
  const settle = () => {
    if (placing.current !== undefined) toDivider();
    keepUp();
    look();
    keepUp();
    // At an edge the virtualizer renders nothing new before the next scroll event, and its own correction may not have caused one.
    if (scroller.current?.scrollTop === 0 && !scroller.current.querySelector('.beginning')) scroller.current.scrollTop = 1;
  };

  // On the first render scroll to the unread divider or the end; later, to the end after the user has sent something.
  const newest = items[items.length - 1];
  const known = useRef(newest?.key);
  const fresh = useRef<string>(undefined);
  if (placed.current && newest && newest.key !== known.current) fresh.current = newest.key;
  useLayoutEffect(() => {
    if (!placed.current) {
      placed.current = true;
      if (rows.some((row) => row.kind === 'unread')) {
        setFollows(false);
        toDivider();
      } else {
        toEnd();
      }
    } else if (newest && newest.key !== known.current && newest.isOwn && newest.status === 'sending') {
      holds.current = false;
      stopPlacing();
      setFollows(true);
      toEnd();
    } else {
      keepUp();
    }
    known.current = newest?.key;
  }, [rows, newest, toEnd, toDivider, stopPlacing, keepUp, setFollows]);

  const settled = useRef(settle);
  settled.current = settle;
  useEffect(() => {
    const observer = new ResizeObserver(() => settled.current());
    observer.observe(scroller.current!);
    observer.observe(scroller.current!.querySelector('ol')!);
    return () => observer.disconnect();
  }, []);

  // Once per frame: otherwise each message of a burst would send a receipt and render again.
  useEffect(() => {
    const frame = requestAnimationFrame(() => settled.current());
    return () => cancelAnimationFrame(frame);
  }, [look]);

  const [menu, setMenu] = useState<{ item: TimelineItem; anchor: HTMLElement }>();
  const { retry, discard } = view;
  const actions = useMemo<MessageActions>(
    () => ({ retry, discard, openMenu: (item, anchor) => setMenu({ item, anchor }) }),
    [retry, discard],
  );
  const keys = useMessageKeys(rows, list, scroller);
  useImperativeHandle(ref, () => ({ focusLast: keys.focusLast }));

  const typing = typists.length > 0;
  const behind = isAtEnd ? 0 : conversation.unread;
  return (
    <div className="messages">
      <div
        className="scroller"
        ref={scroller}
        tabIndex={0}
        role="region"
        aria-label={words.messages(name)}
        onKeyDownCapture={stopPlacing}
        onPointerDown={stopPlacing}
        onWheel={stopPlacing}
        onKeyDown={keys.onKeyDown}
        onBlur={keys.onBlur}
      >
        <Virtualizer
          ref={list}
          scrollRef={scroller}
          data={rows}
          as="ol"
          item="li"
          shift={prepends}
          bufferSize={400}
          keepMounted={keys.current === undefined ? none : [keys.current]}
          onScroll={look}
          onResize={settle}
          onScrollEnd={settle}
        >
          {(row: Row, index: number) => {
            switch (row.kind) {
              case 'top':
                return (
                  <Beginning
                    key={row.key}
                    name={name}
                    state={hasOlder ? conversation.history : 'done'}
                    isEmpty={items.length === 0}
                    onRetry={() => void loadOlder(page).catch(() => undefined)}
                  />
                );
              case 'day':
                return (
                  <div key={row.key} className="divider day">
                    {row.label}
                  </div>
                );
              case 'unread':
                return (
                  <div key={row.key} className="divider unread">
                    {words.unreadDivider}
                  </div>
                );
              case 'end':
                return <EndOfList key={row.key} typing={typing} name={name} />;
              case 'message':
                return (
                  <MessageRow
                    key={row.key}
                    item={row.item}
                    first={row.first}
                    last={row.last}
                    fresh={row.key === fresh.current}
                    current={index === keys.current}
                    name={name}
                    actions={actions}
                  />
                );
            }
          }}
        </Virtualizer>
      </div>
      {!isAtEnd && (
        <button
          type="button"
          className="to-bottom"
          aria-label={behind > 0 ? words.newMessages(behind) : words.toBottom}
          onClick={() => {
            holds.current = false;
            stopPlacing();
            toEnd();
            // The button disappears at the end of the list, and the focus must not be lost with it.
            scroller.current?.focus({ preventScroll: true });
          }}
        >
          {behind > 0 && <span className="to-bottom-count">{number(behind)}</span>}
          <Icon name="down" size={18} />
        </button>
      )}
      {menu && (
        <MenuList
          label={strings.message.more}
          groups={messageMenu(menu.item, actions)}
          anchor={menu.anchor}
          onClose={(returnFocus) => {
            setMenu(undefined);
            if (returnFocus) menu.anchor.closest<HTMLElement>('.row')?.focus({ preventScroll: true });
          }}
        />
      )}
    </div>
  );
}

const none: readonly number[] = [];

/** The last row whose end is visible, or half a viewport of a row that is taller than the viewport. */
function lastInView(list: VirtualizerHandle, length: number, top: number, height: number): number {
  const index = Math.min(list.findItemIndex(top + height - 1), length - 1);
  const start = list.getItemOffset(index);
  const isSeen = start + list.getItemSize(index) <= top + height + 4 || start <= top + height / 2;
  return isSeen ? index : index - 1;
}
