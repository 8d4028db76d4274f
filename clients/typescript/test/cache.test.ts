import { IDBFactory } from 'fake-indexeddb';
import { describe, expect, test, vi } from 'vitest';
import { indexedDbCache, timelineOf, type ConversationState } from '../src/index.js';
import { createTestChat, answerDefaults, userId, type FakeSocket } from './fakes.js';

const other = '00000000-0000-4000-8000-000000000002';
const member = (id: string) => ({ userId: id, role: 'member' as const, readUpTo: 0, deliveredUpTo: 0, name: id });
const message = (conversationId: string, seq: number) => ({
  id: `${conversationId}-${seq}`, conversationId, seq, changedSeq: seq, senderId: other, type: 'text' as const, content: `text ${seq}`, sentAt: `2026-01-01T00:00:${String(seq % 60).padStart(2, '0')}.000Z`,
});

/** A server, with the number of messages by conversation, and a browser storage that survives its pages. */
function world() {
  const factory = new IDBFactory();
  const seqs: Record<string, number> = { a: 3, b: 1 };
  const cache = () => indexedDbCache('test', factory);
  const view = (id: string) => ({
    id, kind: 'direct', members: [member(userId), member(other)], seq: seqs[id]!, unread: 0,
    createdAt: '2026-01-01T00:00:00.000Z', updatedAt: message(id, seqs[id]!).sentAt, lastMessage: message(id, seqs[id]!),
  });
  const all = (id: string) => Array.from({ length: seqs[id]! }, (_, at) => message(id, at + 1));
  const rest = (path: string): unknown => {
    if (path === '/chat/conversations') return { conversations: Object.keys(seqs).map(view) };
    const [, id, more] = /^\/chat\/conversations\/(\w+)(\/messages)?$/.exec(path) ?? [];
    if (id === undefined || seqs[id] === undefined) return undefined;
    return more ? { messages: all(id), hasMore: false } : view(id);
  };
  const answer = (socket: FakeSocket, event: Parameters<typeof answerDefaults>[1]) => {
    if (event.type !== 'sync') return answerDefaults(socket, event);
    const known = event.payload.conversations;
    for (const id of Object.keys(seqs))
      if (seqs[id]! > (known[id] ?? 0))
        socket.push('sync.conversation', { conversation: view(id), messages: all(id).filter(({ seq }) => seq > (known[id] ?? 0)), hasMore: false } as never, event.id);
    return socket.push('sync.done', { conversations: 0 }, event.id);
  };
  const open = (own: Parameters<typeof createTestChat>[0] = {}) => {
    const made = createTestChat({ userId, cache: cache(), rest, answer, timing: { cacheDelay: 1 }, ...own });
    made.chat.start();
    const texts = (id: string) => timelineOf(made.chat.getState(), id).map(({ content }) => content);
    return { ...made, texts, ids: () => Object.keys(made.chat.getState().conversations).sort() };
  };
  const kept = async () => (await cache().load(userId))?.conversations ?? [];
  const offline = () => open({ token: () => new Promise(() => {}) });
  /** Opens a page, and waits until its conversations are cached. */
  const visit = async (id = 'a') => {
    const page = open();
    await vi.waitFor(() => expect(page.sockets).toHaveLength(1));
    page.last().open();
    await vi.waitFor(() => expect(page.chat.getState().isCaughtUp).toBe(true));
    await page.chat.load(id);
    await vi.waitFor(async () => expect((await kept()).find((conversation) => conversation.id === id)?.messages).toHaveLength(seqs[id]!));
    return page;
  };
  return { seqs, cache, open, offline, visit, kept };
}

test('cached conversations are shown before there is a connection, and synchronized afterwards', async () => {
  const { seqs, open, offline, visit } = world();
  (await visit()).chat.stop();
  const without = offline();
  await vi.waitFor(() => expect(without.ids()).toEqual(['a', 'b']));
  expect(without.texts('a')).toEqual(['text 1', 'text 2', 'text 3']);
  expect(without.chat.getState()).toMatchObject({ listed: false, isCaughtUp: false, epoch: 'epoch' });
  without.chat.stop();

  // Meanwhile: two new messages, one conversation removed and one added.
  seqs.a = 5;
  delete seqs.b;
  seqs.c = 2;
  const next = open();
  await vi.waitFor(() => expect(next.texts('a')).toHaveLength(3));
  next.last().open();
  await vi.waitFor(() => expect(next.chat.getState().isCaughtUp).toBe(true));
  expect(next.texts('a')).toEqual(['text 1', 'text 2', 'text 3', 'text 4', 'text 5']);
  expect(next.ids()).toEqual(['a', 'c']);
  next.chat.stop();
});

test('another epoch of the database invalidates the cache', async () => {
  const { seqs, open, visit } = world();
  (await visit()).chat.stop();
  seqs.a = 1;
  const next = open({ answer: (socket, event) => (event.type === 'auth' ? socket.accept('another') : answerDefaults(socket, event)) });
  await vi.waitFor(() => expect(next.texts('a')).toHaveLength(3));
  next.last().open();
  await vi.waitFor(() => expect(next.chat.getState()).toMatchObject({ isCaughtUp: true, epoch: 'another' }));
  expect(next.texts('a')).toEqual([]);
  expect(next.chat.getState().conversations.a?.seq).toBe(1);
  next.chat.stop();
});

describe('the cache is cleared', () => {
  test('after a sign-out', async () => {
    const { visit, kept } = world();
    const page = await visit();
    await page.chat.signOut();
    expect(await kept()).toEqual([]);
  });

  test('when the server rejects the sign-in', async () => {
    const { visit, kept } = world();
    const page = await visit();
    page.last().serverCloses(4501);
    page.last().serverCloses(4501);
    await vi.waitFor(() => expect(page.status()).toBe('rejected'));
    await vi.waitFor(async () => expect(await kept()).toEqual([]));
    page.chat.stop();
  });

  test('and another user does not see it', async () => {
    const { cache, open, visit } = world();
    (await visit()).chat.stop();
    const stranger = open({ userId: other, token: () => new Promise(() => {}) });
    // A round trip after the page's own.
    expect(await cache().load(other)).toBeUndefined();
    expect(stranger.ids()).toEqual([]);
    stranger.chat.stop();
  });
});

test('the cache is bounded: the latest fifty conversations with their latest fifty messages', async () => {
  const { seqs, visit, kept } = world();
  for (let count = 0; count < 60; count++) seqs[`old${count}`] = 1;
  seqs.a = 50;
  const page = await visit();
  const late = message('a', 51);
  page.last().push('message.new', { message: late });
  await vi.waitFor(async () => expect((await kept()).find(({ id }) => id === 'a')?.seq).toBe(51));
  const all = await kept();
  expect(all).toHaveLength(50);
  const a = all.find(({ id }) => id === 'a') as ConversationState;
  expect([a.messages.length, a.loadedFrom, a.messages.at(-1)?.seq]).toEqual([50, 2, 51]);
  page.chat.stop();
});

test('a storage that fails or hangs blocks nothing', async () => {
  const { open } = world();
  const failing = () => Promise.reject(new Error('denied'));
  for (const stuck of [failing, () => new Promise<never>(() => {})]) {
    const page = open({ cache: { load: stuck, save: stuck, clear: stuck }, timing: { cacheDelay: 1, storageTimeout: 20 } });
    await vi.waitFor(() => expect(page.sockets).toHaveLength(1));
    page.last().open();
    await vi.waitFor(() => expect(page.chat.getState().isCaughtUp).toBe(true));
    expect(page.ids()).toEqual(['a', 'b']);
    // Not everything could be removed, which is reported.
    await expect(page.chat.signOut()).rejects.toThrow();
  }
});
