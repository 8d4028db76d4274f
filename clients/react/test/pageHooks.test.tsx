import { act, cleanup, renderHook, waitFor } from '@testing-library/react';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Chat, Conversation, Message } from 'chat-client';
import {
  ChatProvider, useBlocked, useConversation, useConversationPreview, useMessageAlerts, usePeople, useSignInNeed, useUnreadTitle, useUnsentWarning,
} from '../src/index.js';
import { createTestChat, fakeLocks, answerDefaults, userId, type FakeSocket } from '../../typescript/test/fakes.js';

/** Hooks that a page needs besides its conversations. */

const bob = '00000000-0000-4000-8000-000000000002';
const bobby = '00000000-0000-4000-8000-000000000003';
const message = (conversationId: string, seq: number, senderId = bob): Message => ({
  id: `${conversationId}${seq}`, conversationId, seq, changedSeq: seq, senderId, type: 'text', content: `text ${seq}`, sentAt: `2026-01-01T00:00:0${seq}.000Z`,
});
const view = (id: string, peer: string, username: string, updatedAt: string): Conversation => ({
  id, kind: 'direct', seq: 1, unread: 1, updatedAt,
  members: [
    { userId, name: 'Alice', username: 'alice', readUpTo: 0, deliveredUpTo: 0 },
    { userId: peer, name: username.toUpperCase(), username, readUpTo: 0, deliveredUpTo: 0 },
  ],
  lastMessage: message(id, 1, peer),
});

let chat: Chat;
let last: () => FakeSocket;
let gone = false;

function open(own: Parameters<typeof createTestChat>[0] = {}) {
  return createTestChat({
    userId,
    rest: (path) => {
      if (path === '/chat/conversations') return { conversations: [view('c', bob, 'bob', '2026-01-01T00:00:01.000Z'), ...(gone ? [] : [view('d', bobby, 'bobby', '2026-01-01T00:00:02.000Z')])] };
      return path.endsWith('/messages') ? { messages: [], hasMore: false } : undefined;
    },
    answer: (socket, event) => {
      if (event.type === 'block.add') socket.push('block.added', { userId: bob, blockedAt: '2026-01-01T00:00:00.000Z' }, event.id);
      else answerDefaults(socket, event);
    },
    ...own,
  });
}

async function connect(): Promise<void> {
  await act(async () => {
    chat.start();
    await waitFor(() => expect(last()).toBeDefined());
    last().open();
  });
  await waitFor(() => expect(chat.getState().isCaughtUp).toBe(true));
}

beforeEach(async () => {
  gone = false;
  ({ chat, last } = open());
  await connect();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  cleanup();
  chat.stop();
});

const wrapper = ({ children }: { children: ReactNode }) => <ChatProvider client={chat}>{children}</ChatProvider>;

test('usePeople matches part of a name, exact matches first, and reports whether the username is known', () => {
  const found = (text: string) => {
    const { result } = renderHook(() => usePeople(text), { wrapper });
    return [result.current.people.map(({ peer }) => peer.username), result.current.isKnown];
  };
  expect(found('')).toEqual([['bobby', 'bob'], false]);
  expect(found('BOB ')).toEqual([['bob', 'bobby'], true]);
  expect(found('bobb')).toEqual([['bobby'], false]);
  expect(found('carol')).toEqual([[], false]);
});

test('useBlocked lists whom the user has blocked', async () => {
  const { result } = renderHook(() => useBlocked(), { wrapper });
  expect(result.current).toEqual([]);
  await act(() => chat.block({ userId: bob }));
  expect(result.current).toEqual([{ userId: bob, since: '2026-01-01T00:00:00.000Z', member: expect.objectContaining({ username: 'bob' }) }]);
});

test('useConversationPreview shows the latest message, also one being sent, typing and drafts', async () => {
  const { result } = renderHook(() => useConversationPreview(chat.getState().conversations.c!), { wrapper });
  expect(result.current).toMatchObject({ peer: { username: 'bob' }, isOnline: false, typists: [], draft: '', text: 'text 1', isOwn: false, status: undefined, at: '2026-01-01T00:00:01.000Z' });
  act(() => {
    last().push('user.online', { userId: bob, onlineAt: '' });
    last().push('typing.update', { conversationId: 'c', userId: bob, typing: true });
    chat.setDraft('c', 'half');
  });
  expect(result.current).toMatchObject({ isOnline: true, typists: [bob], draft: 'half' });
  act(() => void chat.send('c', 'mine'));
  expect(result.current).toMatchObject({ text: 'mine', isOwn: true, status: 'sending' });
  // Presence is unknown without a connection.
  act(() => last().serverCloses(1006));
  expect(result.current).toMatchObject({ isOnline: false, typists: [] });
});

test('useUnreadTitle prefixes the unread count, and restores the old title', () => {
  document.title = 'before';
  const { rerender, unmount } = renderHook(({ title }) => useUnreadTitle(title), { wrapper, initialProps: { title: 'Chat' } });
  expect(document.title).toBe('(2) Chat');
  act(() => last().push('notification.unread', { conversationId: 'c', unread: 0, totalUnread: 1 } as never));
  rerender({ title: 'Bob' });
  expect(document.title).toBe('(1) Bob');
  act(() => last().push('notification.unread', { conversationId: 'd', unread: 0, totalUnread: 0 } as never));
  expect(document.title).toBe('Bob');
  unmount();
  expect(document.title).toBe('before');
});

test('useUnsentWarning asks only while messages are being sent', () => {
  const { unmount } = renderHook(() => useUnsentWarning(), { wrapper });
  const isAsked = () => !window.dispatchEvent(new Event('beforeunload', { cancelable: true }));
  expect(isAsked()).toBe(false);
  let tempId = '';
  act(() => void (tempId = chat.send('c', 'on its way')));
  expect(isAsked()).toBe(true);
  act(() => chat.discard(tempId));
  expect(isAsked()).toBe(false);
  act(() => void chat.send('c', 'again'));
  unmount();
  expect(isAsked()).toBe(false);
});

describe('useSignInNeed', () => {
  test('ended: the sign-in was good before', async () => {
    const { result } = renderHook(() => useSignInNeed(), { wrapper });
    act(() => last().serverCloses(1006));
    expect(result.current).toBeUndefined();
    await act(async () => {
      chat.reconnect();
      await waitFor(() => expect(last().readyState).toBe(0));
      last().open();
      // Its renewal is refused, and so is the token after that.
      for (let renewal = 0; renewal < 2; renewal++) last().push('auth_failed', { code: 'TOKEN_EXPIRED', message: '' });
      last().serverCloses(4501);
    });
    await waitFor(() => expect(chat.getState().connection.status).toBe('rejected'));
    expect(result.current).toBe('ended');
  });

  test('revoked: signed out on all devices', async () => {
    const { result } = renderHook(() => useSignInNeed(), { wrapper });
    await act(async () => last().serverCloses(4501));
    expect(result.current).toBe('revoked');
  });

  test('refused: it was never accepted', async () => {
    chat.stop();
    ({ chat, last } = open({ answer: (socket, event) => (event.type === 'auth' ? socket.serverCloses(4501, 'TOKEN_INVALID') : answerDefaults(socket, event)) }));
    const { result } = renderHook(() => useSignInNeed(), { wrapper });
    await act(async () => {
      chat.start();
      await waitFor(() => expect(last()).toBeDefined());
      last().open();
    });
    await waitFor(() => expect(result.current).toBeDefined());
    expect(result.current).toBe('refused');
  });
});

describe('useMessageAlerts', () => {
  const watch = () => {
    const told: string[] = [];
    const { unmount } = renderHook(
      () =>
        useMessageAlerts({
          onMessage: ({ content }, { id }) => told.push(`${id}: ${content}`),
          onRead: (id) => told.push(`${id} is read`),
        }),
      { wrapper },
    );
    return { told, unmount };
  };
  const comes = (seq: number, unread: number, sender = bob) =>
    act(() => {
      last().push('message.new', { message: message('c', seq, sender) });
      last().push('notification.unread', { conversationId: 'c', unread, totalUnread: unread } as never);
    });
  const pass = () => act(() => vi.advanceTimersByTimeAsync(1_000));

  test('reports the latest of a burst, and no message that is the user\'s own or already read', async () => {
    vi.useFakeTimers();
    const { told, unmount } = watch();
    comes(2, 2);
    comes(3, 3);
    await pass();
    expect(told).toEqual(['c: text 3']);
    comes(4, 3, userId);
    await pass();
    comes(5, 4);
    comes(6, 0);
    await pass();
    expect(told).toEqual(['c: text 3', 'c is read']);
    comes(7, 1);
    unmount();
    await pass();
    expect(told).toHaveLength(2);
    expect(vi.getTimerCount()).toBeLessThan(5);
  });

  test('one of several tabs reports', async () => {
    vi.stubGlobal('navigator', Object.assign(Object.create(navigator), { locks: fakeLocks() }));
    vi.useFakeTimers();
    const [one, two] = [watch(), watch()];
    comes(2, 2);
    await pass();
    expect([one.told, two.told]).toEqual([['c: text 2'], []]);
    // The reporting tab is closed.
    one.unmount();
    comes(3, 3);
    await pass();
    expect(two.told).toEqual(['c: text 3']);
    two.unmount();
  });
});

test('useConversation reports a conversation that is no longer the user\'s', async () => {
  const { result } = renderHook(() => useConversation('d'), { wrapper });
  expect(result.current.conversation?.id).toBe('d');
  gone = true;
  await act(async () => {
    last().serverCloses(1006);
    chat.reconnect();
    await waitFor(() => expect(last().readyState).toBe(0));
    last().open();
  });
  await waitFor(() => expect(result.current.error?.code).toBe('NOT_FOUND'));
  expect(result.current.conversation).toBeUndefined();
});
