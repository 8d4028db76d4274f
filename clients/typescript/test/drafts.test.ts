import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { draftOf, localDraftStorage, memoryStorage, unsentOf, webStorage } from '../src/index.js';
import { createTestChat, FakeStorage, fakeTabs, token, userId } from './fakes.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});
const advance = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);
const other = '00000000-0000-4000-8000-000000000002';

/** The tabs of one browser. */
function browser() {
  const tabs = fakeTabs();
  const storage = memoryStorage();
  const area = new FakeStorage();
  const drafts = () => localDraftStorage(webStorage('localStorage', { localStorage: area }));
  const open = (own: Parameters<typeof createTestChat>[0] = {}) => {
    const made = createTestChat({ storage, drafts: drafts(), tabs, userId, ...own });
    made.chat.start();
    return { ...made, draft: (id = 'c') => draftOf(made.chat.getState(), id) };
  };
  return { storage, area, drafts, open };
}

describe('drafts', () => {
  test('are restored on the next page load, by user and conversation, before there is a token', async () => {
    const { open } = browser();
    const first = open();
    first.chat.setDraft('c', '  half a sentence');
    first.chat.setDraft('d', 'another');
    first.chat.setDraft('d', ' ');
    first.chat.stop();

    const second = open({ token: () => new Promise(() => {}) });
    expect([second.draft('c'), second.draft('d')]).toEqual(['  half a sentence', '']);
    expect(open({ userId: other, token: () => new Promise(() => {}) }).draft('c')).toBe('');
  });

  test('are shared by all tabs', async () => {
    const { open } = browser();
    const [one, two, stranger] = [open(), open(), open({ userId: other, token: () => new Promise(() => {}) })];
    one.chat.setDraft('c', 'hello');
    await advance();
    expect([two.draft(), stranger.draft()]).toEqual(['hello', '']);
    two.chat.setDraft('c', '');
    await advance();
    expect(one.draft()).toBe('');
  });

  test('survive the end of a session, and another epoch of the database', async () => {
    const { open } = browser();
    const one = open();
    await advance();
    one.last().open();
    await advance();
    one.chat.setDraft('c', 'kept');
    one.last().accept('another epoch');
    one.last().push('auth_failed', { code: 'TOKEN_EXPIRED', message: '' });
    one.last().serverCloses(4501);
    await advance(500);
    expect(one.status()).toBe('rejected');
    expect(one.draft()).toBe('kept');
    expect(open().draft()).toBe('kept');
  });

  test.each([
    ['blocked', () => { throw new DOMException('denied', 'SecurityError'); }],
    ['not there', () => undefined],
    ['full', () => Object.assign(new FakeStorage(), { setItem() { throw new DOMException('full', 'QuotaExceededError'); } })],
  ])('live in memory if the storage is %s', async (_, get) => {
    vi.stubGlobal('localStorage', undefined);
    const from = Object.defineProperty({}, 'localStorage', { get });
    const { chat } = createTestChat({ userId, drafts: localDraftStorage(webStorage('localStorage', from)) });
    chat.setDraft('c', 'hello');
    expect(draftOf(chat.getState(), 'c')).toBe('hello');
    chat.setDraft('c', '');
    expect(draftOf(chat.getState(), 'c')).toBe('');
    expect(webStorage('localStorage', from).keys('')).toEqual([]);
  });

  test('invalid values in the storage are ignored', () => {
    const { area, drafts } = browser();
    area.setItem(`chat.draft.${userId}.c`, '{');
    area.setItem(`chat.draft.${userId}.d`, '{"content":7}');
    area.setItem(`chat.draft.${userId}.e`, 'null');
    expect(drafts().load(userId)).toEqual({});
  });
});

describe('a sign-out', () => {
  const queue = async (chat: ReturnType<typeof createTestChat>['chat']) => {
    chat.send('c', 'unsent');
    chat.setDraft('c', 'draft');
    await advance();
  };

  test('removes all data of the user, in all tabs', async () => {
    const { open, storage, area } = browser();
    const [one, two] = [open({ answer: () => {} }), open({ answer: () => {} })];
    const told: string[] = [];
    two.chat.on('signedOut', (event) => told.push(event.userId));
    await queue(one.chat);
    await queue(two.chat);
    expect(unsentOf(one.chat.getState()).map(({ content }) => content)).toContain('unsent');

    await one.chat.signOut();
    await advance();
    expect(await storage.load(userId)).toEqual([]);
    expect(area.length).toBe(0);
    expect(told).toEqual([userId]);
    for (const { chat, status } of [one, two]) {
      expect(status()).toBe('idle');
      expect(chat.getState()).toMatchObject({ me: null, outbox: [], drafts: {}, conversations: {} });
    }
    expect(vi.getTimerCount()).toBe(0);
    two.chat.setDraft('c', 'written into a composer that is still there');
    expect(area.length).toBe(0);
  });

  test('keeps the data of another user', async () => {
    const { open, storage } = browser();
    const [one, two] = [open(), open({ userId: other, token: async () => token(3600, '', other) })];
    two.chat.setDraft('c', 'mine');
    await storage.put({ tempId: 't', userId: other, conversationId: 'c', content: '', createdAt: '', status: 'failed' });
    await one.chat.signOut();
    await advance();
    expect(two.draft()).toBe('mine');
    expect(await storage.load(other)).toHaveLength(1);
  });

  test('everywhere: a revoked device removes all data, unsent text included, and requests no token', async () => {
    const requests: unknown[] = [];
    const source = async (request?: unknown) => {
      requests.push(request);
      return token();
    };
    const { open, storage, area } = browser();
    const one = open({ token: source });
    const told: unknown[] = [];
    one.chat.on('signedOut', (event) => told.push(event));
    await advance();
    one.last().open();
    await advance();
    one.chat.setDraft('c', 'draft');
    one.chat.send('c', 'unsent');
    await storage.put({ tempId: 't', userId, conversationId: 'c', content: 'failed', createdAt: '', status: 'failed' });
    await advance();
    requests.length = 0;

    one.last().serverCloses(4501, 'not authorised');
    await advance(3600_000);
    expect(told).toEqual([{ userId, everywhere: true }]);
    expect(one.chat.getState()).toMatchObject({ me: null, outbox: [], drafts: {}, connection: { status: 'rejected', problem: 'REVOKED', closeCode: 4501 } });
    expect(await storage.load(userId)).toEqual([]);
    expect([area.length, one.sockets.length, requests.length]).toEqual([0, 1, 0]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('everywhere: calls the server, then removes all data in all tabs', async () => {
    const { open, storage, area } = browser();
    const calls: string[] = [];
    const rest = async (input: RequestInfo | URL, init?: RequestInit) => {
      calls.push(`${init?.method} ${new URL(String(input)).pathname}`);
      return new Response(null, { status: 204 });
    };
    const [one, two] = [open({ fetch: rest, answer: () => {} }), open({ answer: () => {} })];
    const told: unknown[] = [];
    for (const { chat } of [one, two]) chat.on('signedOut', (event) => told.push(event));
    await queue(one.chat);

    await one.chat.signOutEverywhere();
    await advance();
    expect(calls).toEqual(['DELETE /base/chat/sessions']);
    expect(told).toEqual([{ userId, everywhere: true }, { userId, everywhere: true }]);
    expect(await storage.load(userId)).toEqual([]);
    expect(area.length).toBe(0);
    for (const { chat, status } of [one, two]) {
      expect(status()).toBe('idle');
      expect(chat.getState()).toMatchObject({ me: null, outbox: [], drafts: {} });
    }
  });

  test.each(['before the answer', 'instead of it'])('everywhere: the connection may be closed %s', async (when) => {
    const { open, storage } = browser();
    let answer = (): void => {};
    const rest = (input: RequestInfo | URL) =>
      new Promise<Response>((resolve, reject) => {
        if (!String(input).endsWith('/chat/sessions')) return resolve(new Response('', { status: 404 }));
        answer = () => (when === 'instead of it' ? reject(new TypeError('Failed to fetch')) : resolve(new Response(null, { status: 204 })));
      });
    const one = open({ fetch: rest });
    const told: unknown[] = [];
    one.chat.on('signedOut', (event) => told.push(event));
    await advance();
    one.last().open();
    await queue(one.chat);

    const leaving = one.chat.signOutEverywhere();
    await advance();
    one.last().serverCloses(4501);
    answer();
    await leaving;
    expect(told).toEqual([{ userId, everywhere: true }]);
    expect(await storage.load(userId)).toEqual([]);
  });

  test('everywhere: the user stays signed in if the server cannot be reached', async () => {
    const { open } = browser();
    const one = open({ fetch: async () => Promise.reject(new TypeError('Failed to fetch')) });
    await advance();
    one.last().open();
    await advance();
    one.chat.setDraft('c', 'kept');
    await expect(one.chat.signOutEverywhere()).rejects.toMatchObject({ code: 'OFFLINE' });
    expect([one.status(), one.draft()]).toEqual(['online', 'kept']);
  });

  test('fails if the storage cannot be cleared', async () => {
    const storage = { ...memoryStorage(), load: async () => Promise.reject(new Error('stuck')) };
    const { chat, status } = createTestChat({ userId, storage });
    await expect(chat.signOut()).rejects.toThrow('stuck');
    expect(status()).toBe('idle');
  });
});

test('a waiting message can be discarded, and is removed from the storage', async () => {
  const storage = memoryStorage();
  const { chat } = createTestChat({ userId, storage });
  const tempId = chat.send('c', 'never mind');
  await advance();
  expect(await storage.load(userId)).toHaveLength(1);
  chat.discard(tempId);
  await advance();
  expect(chat.getState().outbox).toEqual([]);
  expect(await storage.load(userId)).toEqual([]);
});

test('tempIds need no secure context', async () => {
  const { randomUUID: _, ...insecure } = { randomUUID: undefined, getRandomValues: crypto.getRandomValues.bind(crypto) };
  vi.stubGlobal('crypto', insecure);
  const { chat } = createTestChat({ userId });
  const tempIds = Array.from({ length: 100 }, () => chat.send('c', 'hello'));
  expect(new Set(tempIds).size).toBe(100);
  for (const tempId of tempIds) expect(tempId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
