import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { delayOf, verdictOf } from '../src/backoff.js';
import { bench, politely, token } from './fake.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets everything run that needs no time, and then that much time pass. */
const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

async function connected(own: Parameters<typeof bench>[0] = {}) {
  const made = bench(own);
  made.chat.start();
  await pass();
  made.last().open();
  await pass();
  expect(made.status()).toBe('online');
  return made;
}

describe('close codes', () => {
  test.each([1000, 1001, 1006, 1011, 1012, 1013, 4000, 4408, 4412, 4499])('%i: comes back, after a pause', async (code) => {
    expect(verdictOf(code)).toBe('comeBack');
    const { sockets, last, status, chat } = await connected();
    last().end(code, 'why');
    expect(chat.getState().connection).toMatchObject({ status: 'waiting', closeCode: code, reason: 'why', attempt: 1 });
    await pass(499);
    expect(sockets).toHaveLength(1);
    await pass(1);
    expect(sockets).toHaveLength(2);
    last().open();
    await pass();
    expect(status()).toBe('online');
  });

  test.each([1003, 1007, 1009, 4500, 4501, 4502, 4503, 4999])('%i: stays away', async (code) => {
    expect(verdictOf(code)).toBe('stayAway');
    const { sockets, last, chat } = await connected();
    last().end(code, 'why');
    expect(chat.getState().connection).toMatchObject({ status: 'refused', closeCode: code, reason: 'why' });
    await pass(3600_000);
    expect(sockets).toHaveLength(1);
  });

  test('after a refusal the application may try again', async () => {
    const { last, sockets, chat, status } = await connected();
    last().end(4501);
    chat.start();
    await pass();
    expect(sockets).toHaveLength(2);
    last().open();
    await pass();
    expect(status()).toBe('online');
  });

  test('4401: comes back at once, with a fresh token', async () => {
    let asked = 0;
    const { last, sockets } = await connected({ token: async () => token(3600, `${asked++}`) });
    const first = last().sent[0];
    last().end(4401);
    await pass(0);
    last().open();
    expect(sockets).toHaveLength(2);
    expect(last().sent[0]?.type).toBe('auth');
    expect(last().sent[0]).not.toEqual(first);
  });

  test('4401 again and again: not at once any more', async () => {
    const { last, sockets } = await connected();
    last().end(4401);
    await pass(0);
    expect(sockets).toHaveLength(2);
    last().end(4401);
    await pass(999);
    expect(sockets).toHaveLength(2);
    await pass(1);
    expect(sockets).toHaveLength(3);
  });
});

describe('the pauses between tries', () => {
  test('double up to their bound, and any part of them is as likely', () => {
    const half = () => 0.5;
    expect([1, 2, 3, 4, 7, 8, 50, 5000].map((attempt) => delayOf(attempt, 500, 30_000, half))).toEqual([250, 500, 1000, 2000, 15_000, 15_000, 15_000, 15_000]);
    expect(delayOf(3, 500, 30_000, () => 0)).toBe(0);
    expect(delayOf(3, 500, 30_000, () => 1)).toBe(2000);
  });

  test('grow with each failure, and start anew after a connection that lasted', async () => {
    const { chat, sockets, last } = bench();
    chat.start();
    await pass();
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      last().end(1006);
      const { retryAt } = chat.getState().connection;
      pauses.push(retryAt! - Date.now());
      await pass(pauses.at(-1));
      expect(sockets).toHaveLength(attempt + 2);
    }
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);

    last().open();
    await pass(9_999);
    last().end(1006);
    expect(chat.getState().connection.attempt).toBe(9);
    await pass(30_000);
    last().open();
    await pass(10_000);
    last().end(1006);
    expect(chat.getState().connection.attempt).toBe(1);
  });

  test('a token that cannot be had is asked for again', async () => {
    let asked = 0;
    const { chat, sockets } = bench({
      token: async () => {
        if (++asked < 3) throw new Error('the issuer is away');
        return token();
      },
    });
    chat.start();
    await pass();
    expect(chat.getState().connection).toMatchObject({ status: 'waiting', reason: 'no token: the issuer is away' });
    await pass(1500);
    expect(asked).toBe(3);
    expect(sockets).toHaveLength(1);
  });

  test('a socket that never opens, and a token that is never answered, are given up', async () => {
    const { chat, sockets, last } = bench({ answer: () => {} });
    chat.start();
    await pass(15_000);
    expect(sockets[0]!.isClosed).toBe(true);
    expect(chat.getState().connection.status).toBe('waiting');
    await pass(500);
    last().open();
    await pass(15_000);
    expect(sockets[1]!.isClosed).toBe(true);
    expect(chat.getState().connection).toMatchObject({ status: 'waiting', attempt: 2 });
  });
});

describe('the network', () => {
  test('gone: nothing is tried; back: at once', async () => {
    const { chat, network, sockets, last, status } = await connected();
    network.set(false);
    expect(status()).toBe('offline');
    expect(last().isClosed).toBe(true);
    await pass(3600_000);
    expect(sockets).toHaveLength(1);
    network.set(true);
    await pass();
    expect(sockets).toHaveLength(2);
    last().end(1006);
    expect(status()).toBe('waiting');
    chat.reconnect();
    await pass();
    expect(sockets).toHaveLength(3);
  });

  test('a start without it waits for it', async () => {
    const { chat, network, sockets, status } = bench();
    network.set(false);
    chat.start();
    await pass(60_000);
    expect([status(), sockets.length]).toEqual(['offline', 0]);
    network.set(true);
    await pass();
    expect(sockets).toHaveLength(1);
  });

  test('after stop nothing is tried any more', async () => {
    const { chat, network, sockets, last, status } = await connected();
    chat.stop();
    expect(last().closedWith).toBe(1000);
    network.set(false);
    network.set(true);
    await pass(3600_000);
    expect([status(), sockets.length]).toEqual(['idle', 1]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('signs of life', () => {
  test('silence is asked about, and an answer is enough', async () => {
    const { sockets, last } = await connected();
    await pass(20_000 - 1);
    expect(last().sent.filter(({ type }) => type === 'ping')).toHaveLength(0);
    await pass(20_000);
    expect(last().sent.filter(({ type }) => type === 'ping').length).toBeGreaterThan(0);
    await pass(600_000);
    expect(sockets).toHaveLength(1);
  });

  test('no answer: the connection is dead, however well it looks', async () => {
    let isDead = false;
    const { chat, sockets, last } = await connected({ answer: (socket, event) => (isDead ? undefined : politely(socket, event)) });
    isDead = true;
    await pass(28_000 + 500);
    expect(sockets[0]!.isClosed).toBe(true);
    isDead = false;
    expect(sockets).toHaveLength(2);
    last().open();
    await pass();
    expect(chat.getState().connection.status).toBe('online');
  });

  test('the page is looked at again: the connection is asked at once', async () => {
    const { chat, last } = await connected();
    await pass(1000);
    chat.reconnect();
    expect(last().sent.at(-1)?.type).toBe('ping');
  });
});

describe('tokens', () => {
  test('are renewed on the living connection, a minute before their end', async () => {
    let asked = 0;
    const { last, sockets } = await connected({ token: async () => token(600, `${asked++}`) });
    const auths = () => last().sent.filter(({ type }) => type === 'auth').length;
    await pass(539_000);
    expect(auths()).toBe(1);
    await pass(1_100);
    expect(auths()).toBe(2);
    await pass(541_000);
    expect(auths()).toBe(3);
    expect(sockets).toHaveLength(1);
  });

  test('that last less than two minutes are renewed half-way', async () => {
    let asked = 0;
    const { last } = await connected({ token: async () => token(20, `${asked++}`) });
    await pass(11_000);
    expect(last().sent.filter(({ type }) => type === 'auth')).toHaveLength(2);
  });

  test('the same one again is not presented again, and the source is not pestered', async () => {
    const only = token(600);
    let asked = 0;
    const { last } = await connected({
      token: async () => {
        asked++;
        return only;
      },
    });
    asked = 0;
    await pass(599_000);
    expect(last().sent.filter(({ type }) => type === 'auth')).toHaveLength(1);
    expect(asked).toBeLessThan(12);
  });

  test('the server\'s clock counts, not this device\'s', async () => {
    // The device is an hour late: the token seems to last an hour longer than it does.
    const hour = 3600_000;
    let asked = 0;
    const { last } = await connected({
      token: async () => token(3600 + 600, `${asked++}`),
      answer: (socket, event) => {
        if (event.type !== 'auth') return politely(socket, event);
        socket.accept('epoch', Date.now() + hour);
      },
    });
    await pass(541_000);
    expect(last().sent.filter(({ type }) => type === 'auth')).toHaveLength(2);
  });

  test('one that has run out is replaced, once; the same again is refused', async () => {
    const expired = token(-1);
    let isFresh = false;
    const { chat, last, sockets, status } = bench({
      token: async () => (isFresh ? token() : expired),
      answer: (socket, event) => {
        if (event.type !== 'auth' || event.payload.token !== expired) return politely(socket, event);
        socket.say('auth_failed', { code: 'TOKEN_EXPIRED', message: 'The token has run out.' });
        socket.end(4501, 'not authorised');
      },
    });
    chat.start();
    await pass();
    last().open();
    expect(status()).toBe('waiting');
    await pass(500);
    expect([status(), sockets.length]).toEqual(['refused', 1]);

    chat.start();
    await pass();
    last().open();
    isFresh = true;
    await pass(500);
    last().open();
    await pass();
    expect(status()).toBe('online');
  });

  test('one that is not valid is not tried again, also after one that had run out', async () => {
    let asked = 0;
    const { chat, last, status } = bench({
      token: async () => token(3600, `${asked++}`),
      answer: (socket, event) => {
        if (event.type !== 'auth') return;
        socket.say('auth_failed', { code: asked === 1 ? 'TOKEN_EXPIRED' : 'TOKEN_INVALID', message: '' });
        socket.end(4501);
      },
    });
    chat.start();
    await pass();
    last().open();
    await pass(500);
    last().open();
    expect(status()).toBe('refused');
  });
});

test('what an older connection still says is not heard', async () => {
  const { chat, sockets, last } = await connected();
  const old = sockets[0]!;
  const [message, close] = [old.onmessage!, old.onclose!];
  old.end(1006);
  await pass(500);
  last().open();
  await pass();
  message({ data: JSON.stringify({ type: 'user.online', payload: { userId: 'x', onlineAt: '' } }) } as never);
  close({ code: 4501, reason: '' } as never);
  expect(chat.getState().presence).toEqual({});
  expect(chat.getState().connection.status).toBe('online');
});

test('the socket is found below the address, whatever its path', async () => {
  const { last } = await connected();
  expect(last().url).toBe('wss://chat.test/base/chat/ws');
});
