import 'fake-indexeddb/auto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { indexedDbStorage, memoryStorage, type OutboxEntry } from '../src/index.js';
import type { WireError } from '../src/wire.js';
import { createTestChat, fakeLocks, fakeTabs, answerDefaults, userId, type FakeSocket } from './fakes.js';

const entry = (tempId: string, own: Partial<OutboxEntry> = {}): OutboxEntry => ({
  tempId, userId, conversationId: 'c', content: `text ${tempId}`, createdAt: '2026-01-01T00:00:00.000Z', status: 'sending', ...own,
});

describe.each([
  ['in memory', () => memoryStorage()],
  ['in IndexedDB', () => indexedDbStorage(`test-${Math.random()}`)],
])('a storage %s', (_, make) => {
  test('returns a user\'s entries, oldest first', async () => {
    const storage = make();
    await storage.put(entry('b', { createdAt: '2026-01-01T00:00:02.000Z' }));
    await storage.put(entry('a', { createdAt: '2026-01-01T00:00:03.000Z' }));
    await storage.put(entry('c', { createdAt: '2026-01-01T00:00:01.000Z' }));
    await storage.put(entry('d', { userId: 'somebody else' }));
    expect((await storage.load(userId)).map(({ tempId }) => tempId)).toEqual(['c', 'b', 'a']);
    expect(await storage.load('nobody')).toEqual([]);
  });

  test('keeps one entry per tempId, and removes it', async () => {
    const storage = make();
    await storage.put(entry('a'));
    await storage.put(entry('a', { status: 'failed', error: 'BLOCKED' }));
    expect(await storage.load(userId)).toEqual([entry('a', { status: 'failed', error: 'BLOCKED' })]);
    expect(await storage.has('a')).toBe(true);
    await storage.remove('a');
    await storage.remove('a');
    expect(await storage.has('a')).toBe(false);
  });
});

test('entries in IndexedDB survive the page', async () => {
  await indexedDbStorage('shared').put(entry('a'));
  expect(await indexedDbStorage('shared').load(userId)).toEqual([entry('a')]);
});

describe('the outbox', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

  type Send = { readonly content: string; readonly tempId?: string };

  /** A chat whose server answers sends as the test says; by default it accepts all. */
  async function sending(answer: (send: Send, count: number) => Partial<WireError> | 'nothing' | undefined, own: Parameters<typeof createTestChat>[0] = {}) {
    const sent: string[] = [];
    const stored: string[] = [];
    const made = createTestChat({
      ...own,
      answer: (socket: FakeSocket, event) => {
        if (event.type !== 'message.send') return answerDefaults(socket, event);
        const { content, tempId, conversationId } = event.payload;
        sent.push(content);
        const refusal = answer(event.payload, sent.length);
        if (refusal === 'nothing') return;
        if (refusal) return socket.push('error', { code: 'INTERNAL_ERROR', message: '', retryable: false, ...refusal }, event.id);
        if (!stored.includes(tempId!)) stored.push(tempId!);
        const seq = stored.indexOf(tempId!) + 1;
        const message = { id: `m${seq}`, conversationId, seq, changedSeq: seq, senderId: userId, type: 'text' as const, content, sentAt: '2026-01-01T00:00:00.000Z', tempId: tempId! };
        socket.push('message.sent', { tempId: tempId!, message }, event.id);
      },
    });
    made.chat.start();
    await pass();
    made.last().open();
    await pass();
    return { ...made, sent, outbox: () => made.chat.getState().outbox };
  }

  test.each(['UNAVAILABLE', 'RATE_LIMITED'] as const)('%s: waits for retryAfterMs, then continues in order', async (code) => {
    const { chat, sent, outbox } = await sending((_, count) => (count <= 2 ? { code, retryable: true, retryAfterMs: 1_200 } : undefined));
    chat.send('c', 'one');
    chat.send('c', 'two');
    await pass(1_199);
    expect(sent).toEqual(['one']);
    await pass(1);
    expect(sent).toEqual(['one', 'one']);
    await pass(1_210);
    expect(sent).toEqual(['one', 'one', 'one', 'two']);
    expect(outbox()).toEqual([]);
  });

  test('a full outbox is paced below the rate limit', async () => {
    const { chat, sent, outbox } = await sending(() => undefined);
    // The fake server allows 1,000 a second.
    for (let number = 0; number < 200; number++) chat.send(`${number % 3}`, `${number}`);
    await pass();
    expect(sent.length).toBeLessThanOrEqual(20);
    await pass(100);
    expect(sent.length).toBeGreaterThan(100);
    expect(sent.length).toBeLessThanOrEqual(121);
    await pass(200);
    expect(outbox()).toEqual([]);
    expect(sent).toHaveLength(200);
  });

  test('one RATE_LIMITED pauses every conversation, so that few of many sends are rejected', async () => {
    let isFull = true;
    const { chat, sent, outbox } = await sending(() => (isFull ? { code: 'RATE_LIMITED', retryable: true, retryAfterMs: 5 } : undefined));
    for (let number = 0; number < 500; number++) chat.send(`${number % 50}`, `${number}`);
    await pass(10_000);
    // A connection with 100 errors within 10 s is closed for good.
    expect(sent.length).toBeLessThan(50);
    isFull = false;
    await pass(2_000);
    expect(outbox()).toEqual([]);
  });

  test.each(['VALIDATION_ERROR', 'BLOCKED', 'FORBIDDEN', 'INTERNAL_ERROR'] as const)('%s: fails the message, and sends the next one', async (code) => {
    const { chat, sent, outbox } = await sending(({ content }) => (content === 'bad' ? { code } : undefined));
    const failures: string[] = [];
    chat.on('outbox.failed', ({ entry: { content }, error }) => failures.push(`${content}: ${error.code}`));
    const tempId = chat.send('c', 'bad');
    chat.send('c', 'good');
    await pass();
    expect(sent).toEqual(['bad', 'good']);
    expect(outbox()).toMatchObject([{ tempId, status: 'failed', error: code }]);
    expect(failures).toEqual([`bad: ${code}`]);
    await pass(60_000);
    expect(sent).toHaveLength(2);

    chat.retry(tempId);
    expect(outbox()[0]).not.toHaveProperty('error');
    await pass();
    expect(sent).toEqual(['bad', 'good', 'bad']);
    chat.discard(tempId);
    expect(outbox()).toEqual([]);
  });

  test('without an answer a message is resent under the same tempId', async () => {
    const tempIds: (string | undefined)[] = [];
    const { chat, outbox } = await sending(({ tempId }, count) => {
      tempIds.push(tempId);
      return count === 1 ? 'nothing' : undefined;
    });
    chat.send('c', 'one');
    await pass(15_000);
    expect(tempIds).toHaveLength(1);
    await pass(1000);
    expect(tempIds).toHaveLength(2);
    expect(tempIds[1]).toBe(tempIds[0]);
    expect(outbox()).toEqual([]);
  });

  test('after a disconnect the unacknowledged message is sent first', async () => {
    let isMute = true;
    const { chat, sent, last } = await sending(() => (isMute ? 'nothing' : undefined));
    chat.send('c', 'one');
    chat.send('c', 'two');
    await pass();
    last().serverCloses(1006);
    isMute = false;
    chat.send('c', 'three');
    await pass(500);
    last().open();
    await pass();
    expect(sent).toEqual(['one', 'one', 'two', 'three']);
  });

  test('a message that another tab has sent is not sent again', async () => {
    const storage = memoryStorage();
    await storage.put(entry('a'));
    await storage.put(entry('b', { createdAt: '2026-01-02T00:00:00.000Z' }));
    const { sent, outbox } = await sending(({ content }) => {
      if (content === 'text a') void storage.remove('b');
      return undefined;
    }, { storage });
    await pass();
    expect(sent).toEqual(['text a']);
    expect(outbox()).toEqual([]);
  });

  test('failed messages survive a reload, and are not resent automatically', async () => {
    const storage = memoryStorage();
    const first = await sending(() => ({ code: 'BLOCKED' }), { storage });
    first.chat.send('c', 'one');
    await pass();
    first.chat.stop();
    const second = await sending(() => undefined, { storage });
    expect(second.outbox()).toMatchObject([{ content: 'one', status: 'failed', error: 'BLOCKED' }]);
    expect(second.sent).toEqual([]);
    second.chat.retry(second.outbox()[0]!.tempId);
    await pass();
    expect(second.sent).toEqual(['one']);
    expect(await storage.load(userId)).toEqual([]);
  });

  test('with a failing storage messages are sent, but do not survive a reload', async () => {
    const broken = { load: async () => Promise.reject(new Error()), has: async () => Promise.reject(new Error()), put: async () => Promise.reject(new Error()), remove: async () => Promise.reject(new Error()) };
    const { chat, sent, outbox } = await sending(() => undefined, { storage: broken });
    chat.send('c', 'one');
    await pass();
    expect(sent).toEqual(['one']);
    expect(outbox()).toEqual([]);
  });

  test('tabs take turns by Web Locks', async () => {
    const held: string[] = [];
    let turn: Promise<unknown> = Promise.resolve();
    vi.stubGlobal('navigator', {
      onLine: true,
      locks: {
        request: (name: string, _: unknown, run: () => Promise<number>) => {
          const mine = turn.then(async () => {
            held.push(name);
            return run();
          });
          turn = mine.catch(() => {});
          return mine;
        },
      },
    });
    const storage = memoryStorage();
    for (const tempId of ['a', 'b', 'c']) await storage.put(entry(tempId));
    const tabs = [await sending(() => undefined, { storage }), await sending(() => undefined, { storage })];
    await pass();
    vi.unstubAllGlobals();
    expect(tabs.flatMap(({ sent }) => sent).sort()).toEqual(['text a', 'text b', 'text c']);
    expect(new Set(held)).toEqual(new Set([`chat-outbox-${userId}-c`]));
  });

  test('a temporarily rejected message blocks its own conversation only, shows the error, and can be discarded', async () => {
    const { chat, sent, outbox } = await sending(({ content }) => (content === 'stuck' ? { code: 'UNAVAILABLE', retryable: true } : undefined));
    const tempId = chat.send('c', 'stuck');
    chat.send('c', 'behind it');
    chat.send('d', 'elsewhere');
    await pass();
    expect(sent).toEqual(['stuck', 'elsewhere']);
    await pass(60_000);
    expect(outbox()).toMatchObject([{ content: 'stuck', status: 'sending', error: 'UNAVAILABLE' }, { content: 'behind it' }]);
    // With back-off: after 1, 2, 4, 8, 16 and 30 seconds.
    expect(sent.filter((content) => content === 'stuck')).toHaveLength(6);
    chat.discard(tempId);
    await pass();
    expect(sent.at(-1)).toBe('behind it');
    expect(outbox()).toEqual([]);
  });

  test('retry ends the back-off of a waiting message', async () => {
    let isAway = true;
    const { chat, sent, outbox } = await sending(() => (isAway ? { code: 'UNAVAILABLE', retryable: true, retryAfterMs: 3600_000 } : undefined));
    const tempId = chat.send('c', 'one');
    await pass();
    isAway = false;
    chat.retry(tempId);
    await pass();
    expect(sent).toEqual(['one', 'one']);
    expect(outbox()).toEqual([]);
  });

  test('messages left by a closed tab are shown and sent by another one, before later messages', async () => {
    const [storage, tabs] = [memoryStorage(), fakeTabs()];
    const open = await sending(({ content }) => (content === 'early' ? { code: 'UNAVAILABLE', retryable: true, retryAfterMs: 500 } : undefined), { storage, tabs });
    const closed = createTestChat({ userId, storage, tabs, answer: () => {} });
    closed.chat.start();
    await pass();
    closed.chat.send('c', 'from the tunnel');
    await pass();
    expect(open.sent).toEqual(['from the tunnel']);
    expect(closed.chat.getState().outbox).toEqual([]);
    closed.chat.send('c', 'early');
    closed.chat.stop();
    await pass(1);
    open.chat.send('c', 'late');
    await pass();
    expect(open.outbox().map(({ content }) => content)).toEqual(['early', 'late']);
  });

  test('all tabs show what one of them sends, discards or fails to send', async () => {
    const [storage, tabs] = [memoryStorage(), fakeTabs()];
    const offline = () => {
      const made = createTestChat({ userId, storage, tabs, answer: () => {} });
      made.chat.start();
      return made.chat;
    };
    const [one, two] = [offline(), offline()];
    const shown = () => two.getState().outbox.map(({ content, status }) => `${content} ${status}`);
    const first = one.send('c', 'one');
    one.send('c', 'two');
    await pass();
    expect(shown()).toEqual(['one sending', 'two sending']);
    two.discard(first);
    await pass();
    expect(one.getState().outbox.map(({ content }) => content)).toEqual(['two']);
    const entry = (await storage.load(userId))[0]!;
    await storage.put({ ...entry, status: 'failed', error: 'BLOCKED' });
    one.setDraft('c', '');
    one.send('c', 'three');
    await pass();
    expect(shown()).toEqual(['two failed', 'three sending']);
    expect(await storage.load(userId)).toHaveLength(2);
  });

  test('a message that is discarded during a load does not reappear', async () => {
    const inner = memoryStorage();
    let isSlow = false;
    const answers: (() => void)[] = [];
    const storage = {
      ...inner,
      load: async (id: string) => {
        const entries = await inner.load(id);
        if (isSlow) await new Promise<void>((resolve) => answers.push(resolve));
        return entries;
      },
    };
    const tabs = fakeTabs();
    const { chat } = createTestChat({ userId, storage, tabs, answer: () => {} });
    chat.start();
    const tempId = chat.send('c', 'never mind');
    await pass();
    isSlow = true;
    // Another tab has stored something.
    tabs(() => {}).post({ type: 'outbox', userId });
    await pass();
    chat.discard(tempId);
    expect(answers).toHaveLength(1);
    answers[0]!();
    await pass();
    expect(chat.getState().outbox).toEqual([]);
    expect(await inner.load(userId)).toEqual([]);
  });

  test('the order of sending survives a reload, even within a millisecond and after the clock was set back', async () => {
    const storage = memoryStorage();
    const first = createTestChat({ userId, storage, answer: () => {} });
    const contents = Array.from({ length: 20 }, (_, at) => `${at}`);
    for (const content of contents) {
      first.chat.send('c', content);
      if (content === '9') vi.setSystemTime(Date.now() - 3600_000);
    }
    await pass();
    const { sent } = await sending(() => undefined, { storage });
    await pass();
    expect(sent).toEqual(contents);
  });

  test('a hanging storage delays the first message by three seconds, the next ones not at all, and shows in the state', async () => {
    let release = () => {};
    const inner = memoryStorage();
    const held = new Promise<void>((resolve) => (release = resolve));
    let isHanging = true;
    const wait = async () => (isHanging ? held : undefined);
    const storage = {
      load: async (id: string) => wait().then(() => inner.load(id)),
      has: async (id: string) => wait().then(() => inner.has(id)),
      put: async (item: OutboxEntry) => wait().then(() => inner.put(item)),
      remove: async (id: string) => wait().then(() => inner.remove(id)),
    };
    let isMute = false;
    const { chat, sent, outbox } = await sending(() => (isMute ? 'nothing' : undefined), { storage });
    chat.send('c', 'one');
    await pass(3_000);
    expect(sent).toEqual(['one']);
    expect(chat.getState().isOutboxStored).toBe(false);
    chat.send('c', 'two');
    await pass();
    expect(sent).toEqual(['one', 'two']);
    expect(outbox()).toEqual([]);

    // It answers after all: waiting messages are stored now.
    isMute = true;
    chat.send('c', 'three');
    isHanging = false;
    release();
    await pass();
    expect(chat.getState().isOutboxStored).toBe(true);
    expect((await inner.load(userId)).map(({ content }) => content)).toEqual(['three']);
  });

  test('a hanging indexedDB.open does not block sending', async () => {
    const storage = indexedDbStorage('hanging', { open: () => ({}) } as unknown as IDBFactory);
    const { chat, sent } = await sending(() => undefined, { storage });
    chat.send('c', 'one');
    await pass(3_000);
    expect(sent).toEqual(['one']);
    expect(chat.getState().isOutboxStored).toBe(false);
  });

  test('a hanging tab holds the lock for at most five seconds', async () => {
    vi.stubGlobal('navigator', { onLine: true, locks: fakeLocks() });
    void navigator.locks.request(`chat-outbox-${userId}-c`, {}, () => new Promise(() => {})).catch(() => {});
    const { chat, sent } = await sending(() => undefined);
    chat.send('c', 'one');
    chat.send('d', 'elsewhere');
    await pass(4_999);
    expect(sent).toEqual(['elsewhere']);
    await pass(1);
    vi.unstubAllGlobals();
    expect(sent).toEqual(['elsewhere', 'one']);
  });
});
