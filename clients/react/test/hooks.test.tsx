import { act, cleanup, render, renderHook, screen, waitFor } from '@testing-library/react';
import { memo, StrictMode, type ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Chat, Conversation, Message } from 'chat-client';
import { ChatProvider, useWindowActive, useChat, useChatState, useConversation, useConversations, useDraft, usePresence, useUnsent } from '../src/index.js';
import { createTestChat, answerDefaults, userId, type FakeSocket } from '../../typescript/test/fakes.js';

const other = '00000000-0000-4000-8000-000000000002';
const message = (seq: number, own: Partial<Message> = {}): Message => ({
  id: `m${seq}`, conversationId: 'c', seq, changedSeq: seq, senderId: other, type: 'text', content: `text ${seq}`,
  sentAt: new Date(Date.UTC(2026, 0, 1) + seq * 1000).toISOString(), ...own,
});
const view = (id: string, seq: number): Conversation => ({
  id, kind: 'direct', seq, unread: seq, updatedAt: `2026-01-0${seq}T00:00:00.000Z`,
  members: [userId, other].map((member) => ({ userId: member, name: member === other ? 'Bob' : 'Alice', readUpTo: 0, deliveredUpTo: 0 })),
  ...(seq > 0 && { lastMessage: message(seq, { conversationId: id }) }),
});

let chat: Chat;
let last: () => FakeSocket;
let page: () => unknown;

beforeEach(async () => {
  page = () => ({ messages: [message(1), message(2)], hasMore: false });
  ({ chat, last } = createTestChat({
    rest: (path) => {
      if (path === '/chat/conversations') return { conversations: [view('c', 2), view('d', 1)] };
      if (path === '/chat/conversations/c/messages') return page();
      return undefined;
    },
    answer: (socket, event) => {
      if (event.type === 'block.add') socket.push('block.added', { userId: other, blockedAt: '2026-01-01T00:00:00.000Z' }, event.id);
      else if (event.type === 'message.read')
        socket.push('message.read_ack', { conversationId: 'c', markedCount: 2, upTo: event.payload.upTo!, readAt: '', unread: 0, totalUnread: 1 }, event.id);
      else answerDefaults(socket, event);
    },
  }));
});
afterEach(() => {
  cleanup();
  localStorage.clear();
  chat.stop();
});

const wrapper = ({ children }: { children: ReactNode }) => <ChatProvider client={chat}>{children}</ChatProvider>;

async function connect() {
  await act(async () => {
    chat.start();
    await new Promise((resolve) => queueMicrotask(() => resolve(undefined)));
    await waitForSocket();
    last().open();
  });
  await waitFor(() => expect(chat.getState().listed).toBe(true));
}

const waitForSocket = () => waitFor(() => expect(last()).toBeDefined());

test('hooks without a provider throw a helpful error', () => {
  expect(() => renderHook(() => useChat())).toThrow('There is no <ChatProvider>');
});

describe('useChat', () => {
  test('returns the connection, the user and the unread count', async () => {
    const { result } = renderHook(() => useChat(), { wrapper });
    expect(result.current).toMatchObject({ client: chat, connection: { status: 'idle' }, me: null, totalUnread: 0 });
    await connect();
    expect(result.current).toMatchObject({ connection: { status: 'online' }, me: { userId }, totalUnread: 3 });
    act(() => last().serverCloses(1006));
    expect(result.current.connection).toMatchObject({ status: 'reconnecting', closeCode: 1006 });
  });
});

describe('useChatState', () => {
  test('takes a selector that builds objects, and renders again only when their values change', async () => {
    await connect();
    let drawn = 0;
    const flat = renderHook(() => (drawn++, useChatState((state) => ({ ids: Object.keys(state.conversations).length, me: state.me?.userId }))), { wrapper });
    const nested = renderHook(() => useChatState((state) => Object.values(state.conversations).map(({ id }) => ({ id }))), { wrapper });
    expect(flat.result.current).toEqual({ ids: 2, me: userId });
    expect(nested.result.current).toHaveLength(2);
    const before = drawn;
    act(() => chat.setDraft('c', 'something else'));
    expect(drawn).toBe(before);
  });

  test('takes another selector', async () => {
    await connect();
    const { result, rerender } = renderHook(({ id }) => useChatState((state) => state.conversations[id]?.unread), { wrapper, initialProps: { id: 'c' } });
    expect(result.current).toBe(2);
    rerender({ id: 'd' });
    expect(result.current).toBe(1);
  });
});

test('useWindowActive is false without the focus', () => {
  const focus = vi.spyOn(document, 'hasFocus').mockReturnValue(true);
  const { result } = renderHook(() => useWindowActive());
  expect(result.current).toBe(true);
  focus.mockReturnValue(false);
  act(() => void window.dispatchEvent(new Event('blur')));
  expect(result.current).toBe(false);
  focus.mockRestore();
});

describe('useDraft', () => {
  test('saves a draft, and renders only its own conversation', async () => {
    await connect();
    const { result } = renderHook(() => useDraft('c'), { wrapper });
    let drawn = 0;
    renderHook(() => (drawn++, useDraft('d')), { wrapper });
    expect(result.current[0]).toBe('');
    act(() => result.current[1]('half a'));
    expect(result.current[0]).toBe('half a');
    act(() => result.current[1](''));
    expect(result.current[0]).toBe('');
    expect(drawn).toBe(1);
  });
});

test('useUnsent shows what a sign-out would discard', async () => {
  const { result } = renderHook(() => useUnsent(), { wrapper });
  expect(result.current).toEqual([]);
  await connect();
  act(() => void chat.send('c', 'hello'));
  expect(result.current).toMatchObject([{ content: 'hello' }]);
  await act(() => chat.signOut());
  expect(result.current).toEqual([]);
});

describe('useConversations', () => {
  test('lists conversations by latest activity, and reorders them', async () => {
    const { result } = renderHook(() => useConversations(), { wrapper });
    expect(result.current).toEqual({ conversations: [], isLoading: true });
    await connect();
    expect(result.current.isLoading).toBe(false);
    expect(result.current.conversations.map(({ id }) => id)).toEqual(['c', 'd']);
    act(() => last().push('message.new', { message: message(2, { conversationId: 'd', sentAt: '2026-01-09T00:00:00.000Z' }) }));
    expect(result.current.conversations.map(({ id }) => id)).toEqual(['d', 'c']);
  });
});

describe('usePresence', () => {
  test('tracks presence', async () => {
    const { result } = renderHook(() => usePresence(other), { wrapper });
    await connect();
    expect(result.current).toBeUndefined();
    act(() => last().push('user.online', { userId: other, onlineAt: '2026-01-01T00:00:00.000Z' }));
    expect(result.current).toEqual({ userId: other, online: true });
    act(() => last().push('user.offline', { userId: other, lastSeenAt: '2026-01-01T00:00:01.000Z' }));
    expect(result.current).toEqual({ userId: other, online: false, lastSeenAt: '2026-01-01T00:00:01.000Z' });
  });
});

test('a filter matches part of a name, ignoring case', async () => {
  await connect();
  const { result, rerender } = renderHook(({ filter }) => useConversations(filter), { wrapper, initialProps: { filter: ' bO' } });
  expect(result.current.conversations).toHaveLength(2);
  // The user's own name matches none of them.
  rerender({ filter: 'alice' });
  expect(result.current.conversations).toHaveLength(0);
});

describe('useConversation', () => {
  test('drops old messages after the last unmount', async () => {
    const all = Array.from({ length: 500 }, (_, at) => message(at + 1));
    page = () => ({ messages: all, hasMore: false });
    await connect();
    const one = renderHook(() => useConversation('c'), { wrapper });
    const two = renderHook(() => useConversation('c'), { wrapper });
    await waitFor(() => expect(one.result.current.items).toHaveLength(500));
    one.unmount();
    expect(two.result.current.items).toHaveLength(500);
    two.unmount();
    expect(chat.getState().conversations['c']).toMatchObject({ loadedFrom: 301, messages: { length: 200 } });
    // They can be loaded again.
    page = () => ({ messages: all.slice(0, 300), hasMore: false });
    await chat.loadOlder('c');
    expect(chat.getState().conversations['c']!.messages.map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq));
  });

  test('loads messages, and shows live ones', async () => {
    await connect();
    const { result } = renderHook(() => useConversation('c'), { wrapper });
    await waitFor(() => expect(result.current.items.map(({ content }) => content)).toEqual(['text 1', 'text 2']));
    expect(result.current).toMatchObject({ peer: { name: 'Bob' }, hasOlder: false, isLoadingOlder: false, isBlocked: false, error: undefined });
    act(() => last().push('typing.update', { conversationId: 'c', userId: other, typing: true }));
    expect(result.current.typists).toEqual([other]);
    act(() => last().push('message.new', { message: message(3) }));
    expect(result.current.items).toHaveLength(3);
    expect(result.current.typists).toEqual([]);
  });

  test('sends, and shows the delivery status', async () => {
    await connect();
    const { result } = renderHook(() => useConversation('c'), { wrapper });
    await waitFor(() => expect(result.current.items).toHaveLength(2));
    let tempId = '';
    act(() => {
      tempId = result.current.send('hello');
    });
    const mine = () => result.current.items.at(-1)!;
    expect(mine()).toMatchObject({ key: tempId, content: 'hello', status: 'sending', isOwn: true });
    const sending = () => last().sent.findLast(({ type }) => type === 'message.send');
    await waitFor(() => expect(sending()).toMatchObject({ payload: { content: 'hello', tempId } }));
    act(() => last().push('message.sent', { tempId, message: message(3, { senderId: userId, content: 'hello', tempId }) }, sending()!.id));
    expect(mine()).toMatchObject({ key: tempId, status: 'sent' });
    act(() => last().push('message.delivered_update', { conversationId: 'c', upTo: 3, userId: other, deliveredAt: '' }));
    expect(mine().status).toBe('delivered');
    act(() => last().push('message.read_update', { conversationId: 'c', messageIds: [], upTo: 3, readBy: other, readAt: '' }));
    expect(mine().status).toBe('read');
  });

  test('a rejected message can be retried and discarded', async () => {
    await connect();
    const { result } = renderHook(() => useConversation('c'), { wrapper });
    act(() => void result.current.send('no'));
    let refused = 0;
    const refuse = async () => {
      const sends = () => last().sent.filter(({ type }) => type === 'message.send');
      const before = refused++;
      await waitFor(() => expect(sends()).toHaveLength(before + 1));
      act(() => last().push('error', { code: 'BLOCKED', message: '', retryable: false }, sends().at(-1)!.id));
      await waitFor(() => expect(result.current.items.at(-1)).toMatchObject({ status: 'failed', error: 'BLOCKED' }));
    };
    await refuse();
    const { tempId } = result.current.items.at(-1)!;
    act(() => result.current.retry(tempId!));
    expect(result.current.items.at(-1)!.status).toBe('sending');
    await refuse();
    act(() => result.current.discard(tempId!));
    expect(result.current.items.some((item) => item.content === 'no')).toBe(false);
  });

  test('marks as read', async () => {
    await connect();
    const { result } = renderHook(() => useConversation('c'), { wrapper });
    await waitFor(() => expect(result.current.items).toHaveLength(2));
    act(() => result.current.markRead());
    await waitFor(() => expect(result.current.conversation!.unread).toBe(0));
    expect(last().sent.find(({ type }) => type === 'message.read')!.payload).toEqual({ conversationId: 'c', upTo: 2 });
  });

  test('shows whether the peer is blocked', async () => {
    await connect();
    const { result } = renderHook(() => useConversation('c'), { wrapper });
    await act(() => chat.block({ userId: other }));
    expect(result.current.isBlocked).toBe(true);
  });

  test('returns the error of a failed load', async () => {
    await connect();
    const { result, rerender } = renderHook(({ id }) => useConversation(id), { wrapper, initialProps: { id: 'nowhere' } });
    await waitFor(() => expect(result.current.error).toMatchObject({ code: 'NOT_FOUND' }));
    rerender({ id: 'c' });
    expect(result.current.error).toBeUndefined();
    await waitFor(() => expect(result.current.items).toHaveLength(2));
  });

  test('a page that failed offline is loaded after reconnecting', async () => {
    page = () => new Response('', { status: 502 });
    await connect();
    const { result } = renderHook(() => useConversation('c'), { wrapper });
    await waitFor(() => expect(result.current.conversation!.history).toBe('failed'));
    page = () => ({ messages: [message(1), message(2)], hasMore: false });
    act(() => last().serverCloses(1006));
    await act(async () => chat.reconnect());
    await waitForSocket();
    act(() => last().open());
    await waitFor(() => expect(result.current.items).toHaveLength(2));
  });

  test('a new message does not render other items again', async () => {
    await connect();
    const drawn: string[] = [];
    const Line = memo(function Line({ item }: { item: { content: string } }) {
      drawn.push(item.content);
      return <li>{item.content}</li>;
    });
    function View() {
      const { items } = useConversation('c');
      return <ul>{items.map((item) => <Line key={item.key} item={item} />)}</ul>;
    }
    render(<View />, { wrapper });
    await screen.findByText('text 2');
    drawn.length = 0;
    act(() => last().push('message.new', { message: message(3) }));
    expect(drawn).toEqual(['text 3']);
    act(() => last().push('user.online', { userId: other, onlineAt: '' }));
    act(() => last().push('notification.unread', { conversationId: 'd', unread: 5, totalUnread: 5 }));
    expect(drawn).toEqual(['text 3']);
  });

  test('content is rendered as text', async () => {
    page = () => ({ messages: [message(2, { content: '<b onclick="alert(1)">bold</b>' })], hasMore: false });
    await connect();
    function View() {
      return useConversation('c').items.map((item) => <p key={item.key}>{item.content}</p>);
    }
    const { container } = render(<View />, { wrapper });
    await screen.findByText('<b onclick="alert(1)">bold</b>');
    expect(container.querySelector('b')).toBeNull();
  });

  test('works in strict mode, and unsubscribes on unmount', async () => {
    await connect();
    const strict = ({ children }: { children: ReactNode }) => <StrictMode>{wrapper({ children })}</StrictMode>;
    const { result, unmount } = renderHook(() => useConversation('c'), { wrapper: strict });
    await waitFor(() => expect(result.current.items).toHaveLength(2));
    unmount();
    act(() => last().push('message.new', { message: message(3) }));
    expect(result.current.items).toHaveLength(2);
  });
});
