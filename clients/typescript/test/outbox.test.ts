import 'fake-indexeddb/auto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { indexedDbStorage, memoryStorage, type OutboxEntry } from '../src/index.js';
import type { WireError } from '../src/wire.js';
import { bench, politely, userId, type FakeSocket } from './fake.js';

const entry = (tempId: string, own: Partial<OutboxEntry> = {}): OutboxEntry => ({
  tempId, userId, conversationId: 'c', content: `text ${tempId}`, createdAt: '2026-01-01T00:00:00.000Z', status: 'sending', ...own,
});

describe.each([
  ['in memory', () => memoryStorage()],
  ['in IndexedDB', () => indexedDbStorage(`test-${Math.random()}`)],
])('a storage %s', (_, make) => {
  test('gives back a user\'s entries, oldest first', async () => {
    const storage = make();
    await storage.put(entry('b', { createdAt: '2026-01-01T00:00:02.000Z' }));
    await storage.put(entry('a', { createdAt: '2026-01-01T00:00:03.000Z' }));
    await storage.put(entry('c', { createdAt: '2026-01-01T00:00:01.000Z' }));
    await storage.put(entry('d', { userId: 'somebody else' }));
    expect((await storage.load(userId)).map(({ tempId }) => tempId)).toEqual(['c', 'b', 'a']);
    expect(await storage.load('nobody')).toEqual([]);
  });

  test('keeps one entry a tempId, and lets it go', async () => {
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

test('what is in IndexedDB is there for the next page', async () => {
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

  /** A chat whose server answers sends as it is told to; by default it takes them all. */
  async function sending(answer: (send: Send, count: number) => Partial<WireError> | 'nothing' | undefined, own: Parameters<typeof bench>[0] = {}) {
    const sent: string[] = [];
    const stored: string[] = [];
    const made = bench({
      ...own,
      answer: (socket: FakeSocket, event) => {
        if (event.type !== 'message.send') return politely(socket, event);
        const { content, tempId, conversationId } = event.payload;
        sent.push(content);
        const refusal = answer(event.payload, sent.length);
        if (refusal === 'nothing') return;
        if (refusal) return socket.say('error', { code: 'INTERNAL_ERROR', message: '', retryable: false, ...refusal }, event.id);
        if (!stored.includes(tempId!)) stored.push(tempId!);
        const seq = stored.indexOf(tempId!) + 1;
        const message = { id: `m${seq}`, conversationId, seq, changedSeq: seq, senderId: userId, type: 'text' as const, content, sentAt: '2026-01-01T00:00:00.000Z', tempId: tempId! };
        socket.say('message.sent', { tempId: tempId!, message }, event.id);
      },
    });
    made.chat.start();
    await pass();
    made.last().open();
    await pass();
    return { ...made, sent, outbox: () => made.chat.getState().outbox };
  }

  test.each(['UNAVAILABLE', 'RATE_LIMITED'] as const)('%s: waits as long as it is told to, and goes on in order', async (code) => {
    const { chat, sent, outbox } = await sending((_, count) => (count <= 2 ? { code, retryable: true, retryAfterMs: 700 } : undefined));
    chat.send('c', 'one');
    chat.send('c', 'two');
    await pass(699);
    expect(sent).toEqual(['one']);
    await pass(1);
    expect(sent).toEqual(['one', 'one']);
    await pass(700);
    expect(sent).toEqual(['one', 'one', 'one', 'two']);
    expect(outbox()).toEqual([]);
  });

  test.each(['VALIDATION_ERROR', 'BLOCKED', 'FORBIDDEN', 'INTERNAL_ERROR'] as const)('%s: has failed, and the next one goes', async (code) => {
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
    chat.drop(tempId);
    expect(outbox()).toEqual([]);
  });

  test('no answer: the same again under the same tempId', async () => {
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

  test('the connection breaks: what was not acknowledged goes first on the next one', async () => {
    let isMute = true;
    const { chat, sent, last } = await sending(() => (isMute ? 'nothing' : undefined));
    chat.send('c', 'one');
    chat.send('c', 'two');
    await pass();
    last().end(1006);
    isMute = false;
    chat.send('c', 'three');
    await pass(500);
    last().open();
    await pass();
    expect(sent).toEqual(['one', 'one', 'two', 'three']);
  });

  test('what another tab has sent already is not sent', async () => {
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

  test('failed messages are still there after a reload, and not sent by themselves', async () => {
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

  test('a storage that fails costs nothing but the reload', async () => {
    const broken = { load: async () => Promise.reject(new Error()), has: async () => Promise.reject(new Error()), put: async () => Promise.reject(new Error()), remove: async () => Promise.reject(new Error()) };
    const { chat, sent, outbox } = await sending(() => undefined, { storage: broken });
    chat.send('c', 'one');
    await pass();
    expect(sent).toEqual(['one']);
    expect(outbox()).toEqual([]);
  });

  test('tabs take turns where the browser has locks', async () => {
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
    expect(new Set(held)).toEqual(new Set([`chat-outbox-${userId}`]));
  });
});
