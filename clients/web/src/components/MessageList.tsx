import type { ConversationState } from 'chat-client';
import type { ConversationView } from 'chat-react';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { Virtualizer, type VirtualizerHandle } from 'virtua';
import { useNow } from '../hooks.ts';
import { rowsOf, type Row } from '../rows.ts';
import { strings } from '../strings.ts';
import { Icon } from './Icon.tsx';
import { Beginning, EndOfList, MessageRow } from './MessageRow.tsx';

const words = strings.conversation;
const page = 200;
/** Older messages are asked for before one has come to the end of those that are there. */
const ahead = 1500;
const slack = 40;

interface MessageListProps {
  view: ConversationView;
  conversation: ConversationState;
  name: string;
  /** How far the user has read. */
  readUpTo: number;
  /** After which number the unread divider stands. */
  divider: number | null;
  /** Whether the user looks at the window: only then is anything read. */
  attention: boolean;
}

/**
 * The messages, of which only those in sight are in the page. It stays at the end while one is at the end, and
 * stays where it is while one reads elsewhere, whatever comes before or behind.
 */
export function MessageList({ view, conversation, name, readUpTo, divider, attention }: MessageListProps) {
  const { items, hasOlder, isLoadingOlder, loadOlder, markRead, typists } = view;
  const today = useNow(60_000).toDateString();
  const rows = useMemo(() => rowsOf(items, divider, new Date(today)), [items, divider, today]);
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  const [isAtEnd, setAtEnd] = useState(true);
  const atEnd = useRef(true);
  const placed = useRef(false);

  // Older messages keep the distance to the end, newer ones the distance to the top.
  const first = items[0]?.key;
  const before = useRef(first);
  const prepends = before.current !== first && items.some((item) => item.key === before.current);
  useLayoutEffect(() => {
    before.current = first;
  }, [first]);

  // Not by the list's own means, which go on until all is measured: whoever scrolls meanwhile would be thrown back.
  const toEnd = useCallback(() => {
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  }, []);

  const look = useCallback(() => {
    const element = scroller.current;
    if (!element || !list.current || !placed.current) return;
    // The page's own numbers: the list's are a moment old.
    const { scrollTop, scrollHeight, clientHeight } = element;
    const bottom = scrollHeight - clientHeight - scrollTop < slack;
    atEnd.current = bottom;
    setAtEnd(bottom);
    if (scrollTop < ahead && hasOlder && !isLoadingOlder && conversation.history !== 'failed') void loadOlder(page).catch(() => undefined);
    if (!attention || conversation.unread === 0) return;
    const seen = bottom ? rows.length - 1 : list.current.findItemIndex(scrollTop + clientHeight - 1);
    for (let index = seen; index > 0; index--) {
      const row = rows[index];
      if (row?.kind !== 'message' || !row.item.message) continue;
      if (row.item.message.seq > readUpTo) markRead(row.item.message.seq);
      break;
    }
  }, [rows, attention, conversation.unread, conversation.history, hasOlder, isLoadingOlder, readUpTo, loadOlder, markRead]);

  // The first time: at the unread divider, or at the end. Later: to the end with what one has sent oneself.
  const newest = items[items.length - 1];
  const known = useRef(newest?.key);
  useLayoutEffect(() => {
    if (items.length === 0) return;
    if (!placed.current) {
      placed.current = true;
      const unread = rows.findIndex((row) => row.kind === 'unread');
      if (unread > 0) list.current?.scrollToIndex(unread, { align: 'start', offset: -80 });
      else toEnd();
    } else if (newest && newest.key !== known.current && newest.isOwn && newest.mark === 'sending') {
      toEnd();
    } else if (atEnd.current) {
      toEnd();
    }
    known.current = newest?.key;
  }, [items, rows, newest, toEnd]);

  // Once a frame: to look at each message of a burst would mark each as read, and draw once more for that.
  useEffect(() => {
    const frame = requestAnimationFrame(look);
    return () => cancelAnimationFrame(frame);
  }, [look]);

  const typing = typists.length > 0;
  const behind = isAtEnd ? 0 : conversation.unread;
  return (
    <div className="messages">
      <div className="scroller" ref={scroller} tabIndex={0} role="region" aria-label={words.messages(name)}>
        <Virtualizer
          ref={list}
          scrollRef={scroller}
          data={rows}
          as="ol"
          item="li"
          shift={prepends}
          bufferSize={400}
          onScroll={look}
          onResize={() => {
            if (atEnd.current) toEnd();
            look();
          }}
        >
          {(row: Row) => {
            switch (row.kind) {
              case 'top':
                return <Beginning key={row.key} name={name} state={hasOlder ? conversation.history : 'done'} isEmpty={items.length === 0} onRetry={() => void loadOlder(page).catch(() => undefined)} />;
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
                return <MessageRow key={row.key} item={row.item} first={row.first} last={row.last} name={name} onRetry={view.retry} onDrop={view.drop} />;
            }
          }}
        </Virtualizer>
      </div>
      {!isAtEnd && (
        <button type="button" className="to-bottom" aria-label={behind > 0 ? words.newMessages(behind) : words.toBottom} onClick={toEnd}>
          {behind > 0 && words.newMessages(behind)}
          <Icon name="down" size={18} />
        </button>
      )}
    </div>
  );
}
