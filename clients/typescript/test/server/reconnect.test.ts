import { describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { createChat, memoryStorage, type Chat, type ChatOptions, type ChatState } from '../../src/index.js';
import { couple, device, lines, statuses, options, server, signed, stored, texts, until } from './people.js';

/** A socket class that gives tests access to its instances. */
function sockets() {
  const made: (WebSocket & { swallow?: (data: string) => boolean })[] = [];
  class Tapped extends WebSocket {
    swallow?: (data: string) => boolean;

    constructor(url: string) {
      super(url);
      made.push(this);
    }

    override emit(event: string | symbol, ...rest: unknown[]): boolean {
      if (event === 'message' && this.swallow?.(String(rest[0]))) return true;
      return super.emit(event as 'message', ...(rest as [never, never]));
    }
  }

  return { made, WebSocket: Tapped as unknown as NonNullable<ChatOptions['WebSocket']> };
}

const isOnlineState = (state: ChatState) => state.connection.status === 'online';
const isOnline = (chat: Chat) => isOnlineState(chat.getState());

describe('reconnecting', () => {
  test('after the server was killed, messages sent meanwhile arrive once and in order', { timeout: 120_000 }, async () => {
    const { a, b, id, bob } = await couple();
    a.send(id, 'before');
    await until(b, () => texts(b, id).length === 1);

    await server('kill');
    await until(a, () => !isOnline(a));
    a.send(id, 'meanwhile 1');
    a.send(id, 'meanwhile 2');
    b.send(id, 'meanwhile, from the other side');
    expect(statuses(a, id).slice(1)).toEqual(['sending', 'sending']);
    await server('start');

    await until(a, (state) => state.outbox.length === 0 && texts(a, id).length === 4, 60_000);
    await until(b, (state) => state.outbox.length === 0 && texts(b, id).length === 4, 60_000);
    expect(texts(a, id)).toEqual(texts(b, id));
    expect(texts(a, id).filter((text) => text.startsWith('meanwhile '))).toEqual(['meanwhile 1', 'meanwhile 2']);
    expect(await stored(a, id)).toEqual(texts(a, id));

    const fresh = await device(bob);
    await fresh.load(id);
    expect(texts(fresh, id)).toEqual(texts(b, id));
    await until(a, () => lines(a, id).filter((line) => line.isOwn).every((line) => line.status !== 'sent'));
  });

  test('a send whose answer was lost is repeated, and stored once', async () => {
    const { alice, b, id } = await couple();
    const { made, WebSocket: Tapped } = sockets();
    const a = await device(alice, { WebSocket: Tapped });
    const socket = made.at(-1)!;
    const swallowed = new Promise<void>((resolve) => {
      socket.swallow = (data) => {
        if (data.includes('"message.sent"')) resolve();
        return true;
      };
    });
    a.send(id, 'did you get this?');
    await swallowed;
    expect(statuses(a, id)).toEqual(['sending']);
    socket.terminate();
    await until(a, (state) => isOnline(a) && state.outbox.length === 0);
    expect(texts(a, id)).toEqual(['did you get this?']);
    await until(b, () => texts(b, id).length === 1);
    expect(await stored(b, id)).toEqual(['did you get this?']);
  });

  test('a lost event is detected by the next number, and fetched', async () => {
    const { b, id, alice } = await couple();
    const { made, WebSocket: Tapped } = sockets();
    const a = await device(alice, { WebSocket: Tapped });
    await a.load(id);
    made.at(-1)!.swallow = (data) => data.includes('"lost"');
    for (const text of ['1', 'lost', '3', '4']) b.send(id, text);
    await until(a, () => texts(a, id).length === 3);
    made.at(-1)!.swallow = () => false;
    // A sync does not repeat what was pushed on this connection, so the client reloads the conversation.
    await until(a, () => texts(a, id).length === 4);
    expect(texts(a, id)).toEqual(['1', 'lost', '3', '4']);
    expect(a.getState().conversations[id]).toMatchObject({ position: 4, seq: 4, outOfOrder: [] });
    expect(made).toHaveLength(1);
  });

  test('hundreds of missed messages arrive in several sync parts', { timeout: 60_000 }, async () => {
    const { a, b, id } = await couple();
    a.send(id, 'before');
    await until(b, () => texts(b, id).length === 1);
    b.stop();
    for (let number = 0; number < 450; number++) a.send(id, `${number}`);
    await until(a, (state) => state.outbox.length === 0, 60_000);
    let parts = 0;
    b.on('sync.conversation', () => parts++);
    b.start();
    await until(b, () => texts(b, id).length === 451);
    expect(texts(b, id)).toEqual(texts(a, id));
    expect(parts).toBeGreaterThanOrEqual(3);
    await until(b, (state) => state.conversations[id]!.unread === 451);
  });

  test('receipts given during a disconnect arrive', async () => {
    const { a, b, id } = await couple();
    a.send(id, 'one');
    await until(b, () => texts(b, id).length === 1);
    await until(a, () => statuses(a, id)[0] === 'delivered');
    a.stop();
    b.markRead(id);
    await until(b, (state) => state.conversations[id]!.unread === 0);
    a.start();
    await until(a, () => statuses(a, id)[0] === 'read');
  });

  test('messages read offline are reported later', async () => {
    const { a, b, id } = await couple();
    a.send(id, 'one');
    await until(b, (state) => state.conversations[id]?.unread === 1);
    b.stop();
    b.start();
    b.markRead(id);
    await until(a, () => statuses(a, id)[0] === 'read');
    await until(b, (state) => state.conversations[id]!.unread === 0);
  });

  test('a half-open connection is detected', async () => {
    const { alice, b, id } = await couple();
    const { made, WebSocket: Tapped } = sockets();
    const a = await device(alice, { WebSocket: Tapped, timing: { ...options(alice).timing, pingAfter: 300, pingTimeout: 300 } });
    // Healthy as long as it answers.
    let answers = 0;
    a.on('pong', () => answers++);
    await expect.poll(() => answers, { timeout: 10_000 }).toBe(3);
    expect(made).toHaveLength(1);
    made[0]!.swallow = () => true;
    b.send(id, 'are you there?');
    await until(a, () => made.length === 2 && isOnline(a));
    await until(a, (state) => state.conversations[id]?.unread === 1);
  });

  test('unsent messages survive the page', async () => {
    const { alice, b, id } = await couple();
    const storage = memoryStorage();
    let hasToken = true;
    const token = async () => {
      if (!hasToken) throw new Error('no network');
      return alice.token;
    };
    const before = await device(alice, { storage, token });
    hasToken = false;
    before.stop();
    before.start();
    await until(before, (state) => state.connection.status === 'reconnecting');
    const tempId = before.send(id, 'written in a tunnel');
    await expect.poll(() => storage.has(tempId)).toBe(true);
    before.stop();

    const after = await device(alice, { storage });
    await until(after, (state) => state.outbox.length === 0);
    await until(b, () => texts(b, id).length === 1);
    await expect.poll(() => storage.has(tempId)).toBe(false);
    expect(await stored(after, id)).toEqual(['written in a tunnel']);
  });

  test('two tabs with the same outbox send each message once', async () => {
    const { alice, b, id } = await couple();
    const storage = memoryStorage();
    for (const tempId of ['one', 'two', 'three'])
      await storage.put({ tempId, userId: alice.userId, conversationId: id, content: tempId, createdAt: '2026-01-01T00:00:00.000Z', status: 'sending' });
    const tabs = await Promise.all([device(alice, { storage }), device(alice, { storage })]);
    for (const tab of tabs) await until(tab, (state) => state.outbox.length === 0);
    await until(b, () => texts(b, id).length === 3);
    expect(await stored(b, id)).toHaveLength(3);
    for (const tab of tabs) {
      await tab.load(id);
      expect(texts(tab, id)).toEqual(texts(b, id));
    }
  });
});

describe('tokens', () => {
  test('an invalid token is requested once more, then the connection is rejected', async () => {
    let asked = 0;
    const chat = createChat({ ...options({ name: '', userId: '', token: '' }), token: async () => `${asked++}` });
    chat.start();
    const { connection } = await until(chat, (state) => state.connection.status === 'rejected');
    expect(connection.closeCode).toBe(4501);
    expect(asked).toBe(2);
    chat.stop();
  });

  test('a fresh token is presented on the live connection', async () => {
    const { alice, b, id } = await couple();
    const { made, WebSocket: Tapped } = sockets();
    let asked = 0;
    const a = await device(alice, { WebSocket: Tapped, token: async () => signed(alice, asked++ < 6 ? 4 : 3600) });
    let renewals = 0;
    a.on('auth_success', () => renewals++);
    await expect.poll(() => renewals, { timeout: 10_000 }).toBeGreaterThan(0);
    b.send(id, 'still there?');
    await until(a, (state) => state.conversations[id]?.unread === 1);
    expect(made).toHaveLength(1);
  });

  test('an expired token closes the connection, and a fresh one reopens it', async () => {
    const { alice, b, id } = await couple();
    const closes: (number | undefined)[] = [];
    const { made, WebSocket: Tapped } = sockets();
    let isOut = false;
    const first = signed(alice, 3);
    const a = await device(alice, { WebSocket: Tapped, token: async () => (isOut ? signed(alice, 3600) : first) });
    a.on('connection', ({ status, closeCode }) => {
      if (status === 'reconnecting') closes.push(closeCode);
      isOut = true;
    });
    await until(a, (state) => state.connection.status !== 'online');
    await until(a, isOnlineState);
    expect(closes).toEqual([4401]);
    expect(made).toHaveLength(2);
    b.send(id, 'welcome back');
    await until(a, (state) => state.conversations[id]?.unread === 1);
  });
});
