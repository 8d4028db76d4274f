import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { backoffDelay, reconnectAdvice } from '../src/backoff.js';
import { SignInRequiredError } from '../src/index.js';
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
    expect(reconnectAdvice(code)).toBe('reconnect');
    const { sockets, last, status, chat } = await connected();
    last().end(code, 'why');
    expect(chat.getState().connection).toMatchObject({ status: 'reconnecting', closeCode: code, reason: 'why', attempt: 1 });
    await pass(499);
    expect(sockets).toHaveLength(1);
    await pass(1);
    expect(sockets).toHaveLength(2);
    last().open();
    await pass();
    expect(status()).toBe('online');
  });

  test.each([1002, 1003, 1007, 1009, 4500, 4501, 4502, 4503, 4999])('%i: stays away', async (code) => {
    expect(reconnectAdvice(code)).toBe('giveUp');
    const { sockets, last, chat } = await connected();
    last().end(code, 'why');
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', closeCode: code, reason: 'why' });
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
    expect([1, 2, 3, 4, 7, 8, 50, 5000].map((attempt) => backoffDelay(attempt, 500, 30_000, half))).toEqual([250, 500, 1000, 2000, 15_000, 15_000, 15_000, 15_000]);
    expect(backoffDelay(3, 500, 30_000, () => 0)).toBe(0);
    expect(backoffDelay(3, 500, 30_000, () => 1)).toBe(2000);
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
    expect(chat.getState().connection).toMatchObject({ status: 'reconnecting', reason: 'no token: the issuer is away' });
    await pass(1500);
    expect(asked).toBe(3);
    expect(sockets).toHaveLength(1);
  });

  test('a socket that never opens, and a token that is never answered, are given up', async () => {
    const { chat, sockets, last } = bench({ answer: () => {} });
    chat.start();
    await pass(15_000);
    expect(sockets[0]!.isClosed).toBe(true);
    expect(chat.getState().connection.status).toBe('reconnecting');
    await pass(500);
    last().open();
    await pass(15_000);
    expect(sockets[1]!.isClosed).toBe(true);
    expect(chat.getState().connection).toMatchObject({ status: 'reconnecting', attempt: 2 });
  });
});

describe('the network', () => {
  test('that it is gone is a hint: a connection that answers stays', async () => {
    const { network, sockets, last, status } = await connected();
    network.set(false);
    expect(last().sent.at(-1)?.type).toBe('ping');
    await pass(600_000);
    expect([status(), sockets.length]).toEqual(['online', 1]);
  });

  test('that it is gone makes a dead connection known within five seconds, and tries go on', async () => {
    let isDead = false;
    const { chat, network, sockets, last, status } = await connected({ answer: (socket, event) => (isDead ? undefined : politely(socket, event)) });
    isDead = true;
    network.set(false);
    await pass(4_999);
    expect(status()).toBe('online');
    await pass(1);
    expect(chat.getState().connection).toMatchObject({ status: 'offline', attempt: 1, retryAt: Date.now() + 500 });
    await pass(500);
    expect([status(), sockets.length]).toEqual(['offline', 2]);
    isDead = false;
    last().open();
    await pass();
    expect(status()).toBe('online');
  });

  test('a server on this machine is found without it', async () => {
    const { chat, network, last, status } = bench();
    network.set(false);
    chat.start();
    await pass();
    last().open();
    await pass();
    expect(status()).toBe('online');
  });

  test('back: what hangs is tried anew at once, what waits does not wait', async () => {
    const { chat, network, sockets, last, status } = bench();
    network.set(false);
    chat.start();
    await pass(1_000);
    network.set(true);
    await pass();
    expect([sockets.length, sockets[0]!.isClosed]).toEqual([2, true]);
    last().end(1006);
    expect(status()).toBe('reconnecting');
    network.set(false);
    expect(status()).toBe('offline');
    network.set(true);
    await pass();
    expect(sockets).toHaveLength(3);
    last().end(1006);
    chat.reconnect();
    await pass();
    expect(sockets).toHaveLength(4);
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

  test('a dead connection is known 28 s after the last sign of life, whenever that was', async () => {
    let isDead = false;
    const { chat, last } = await connected({ answer: (socket, event) => (isDead ? undefined : politely(socket, event)) });
    await pass(13_000);
    last().say('user.online', { userId: 'x', onlineAt: '' });
    isDead = true;
    await pass(27_999);
    expect(chat.getState().connection.status).toBe('online');
    await pass(1);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('looking again and again does not put the verdict off', async () => {
    let isDead = false;
    const { chat, network } = await connected({ answer: (socket, event) => (isDead ? undefined : politely(socket, event)) });
    isDead = true;
    for (let look = 0; look < 4; look++) {
      network.set(true);
      await pass(1_000);
    }
    expect(chat.getState().connection.status).toBe('online');
    await pass(1_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('after sleep the connection has five seconds', async () => {
    let isDead = false;
    const { chat, network } = await connected({ answer: (socket, event) => (isDead ? undefined : politely(socket, event)) });
    isDead = true;
    // No timer runs while the device sleeps.
    vi.setSystemTime(Date.now() + 3600_000);
    network.set(true);
    await pass(5_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('what lay in the device while it slept is no sign of life', async () => {
    let isDead = false;
    const { chat, network, last } = await connected({ answer: (socket, event) => (isDead ? undefined : politely(socket, event)) });
    isDead = true;
    network.set(true);
    last().say('user.online', { userId: 'x', onlineAt: '' });
    await pass(5_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('a long answer on a slow network is one, also where the pong comes last', async () => {
    let isDead = false;
    const { status, network, last } = await connected({ answer: (socket, event) => (isDead ? undefined : politely(socket, event)) });
    isDead = true;
    network.set(true);
    await pass(4_000);
    last().say('user.online', { userId: 'x', onlineAt: '' });
    await pass(1_000);
    expect(status()).toBe('online');
  });

  test('a clock that is set back does not keep a dead connection alive', async () => {
    let isDead = false;
    const { chat } = await connected({ answer: (socket, event) => (isDead ? undefined : politely(socket, event)) });
    isDead = true;
    vi.setSystemTime(Date.now() - 3600_000);
    await pass(28_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('a message that nobody answers makes the connection suspect', async () => {
    let isDead = false;
    const { chat, last } = await connected({ answer: (socket, event) => (isDead ? undefined : politely(socket, event)) });
    isDead = true;
    chat.send('c', 'hello');
    await pass(2_999);
    expect(last().sent.at(-1)?.type).toBe('message.send');
    await pass(1);
    expect(last().sent.at(-1)?.type).toBe('ping');
    await pass(5_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
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
    expect(status()).toBe('reconnecting');
    await pass(500);
    expect([status(), sockets.length]).toEqual(['rejected', 1]);

    chat.start();
    await pass();
    last().open();
    isFresh = true;
    await pass(500);
    last().open();
    await pass();
    expect(status()).toBe('online');
  });

  test.each(['TOKEN_EXPIRED', 'TOKEN_INVALID'] as const)('%s: another is asked for once, past the cache', async (code) => {
    const requests: (string | undefined)[] = [];
    const [stale, good] = [token(3600, 'stale'), token(3600, 'good')];
    const { chat, last, status } = bench({
      token: async (request) => {
        requests.push(request?.refused);
        return request?.refused === stale ? good : stale;
      },
      answer: (socket, event) => {
        if (event.type !== 'auth' || event.payload.token !== stale) return politely(socket, event);
        socket.say('auth_failed', { code, message: '' });
        socket.end(4501);
      },
    });
    chat.start();
    await pass();
    last().open();
    await pass();
    last().open();
    await pass();
    expect(status()).toBe('online');
    expect(requests.slice(0, 2)).toEqual([undefined, stale]);
  });

  test('two in a row that are refused are enough', async () => {
    let asked = 0;
    const { chat, last, sockets } = bench({
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
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'TOKEN_INVALID', closeCode: 4501 });
    await pass(3600_000);
    expect(sockets).toHaveLength(2);
  });

  test('that can never be had again end the session', async () => {
    let isOver = false;
    const source = async () => {
      if (isOver) throw new SignInRequiredError('invalid_grant');
      return token(600, `${Date.now()}`);
    };
    const { chat, sockets, last, status } = await connected({ token: source });
    isOver = true;
    await pass(541_000);
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'SIGN_IN_REQUIRED', reason: 'invalid_grant' });
    await pass(3600_000);
    expect(sockets).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);

    isOver = false;
    chat.start();
    await pass();
    last().open();
    await pass();
    expect(status()).toBe('online');
    // A request finds out before the connection does.
    isOver = true;
    await expect(chat.api.unread()).rejects.toMatchObject({ code: 'UNAUTHORIZED', retryable: false });
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'SIGN_IN_REQUIRED' });
  });

  test('that cannot be had at the start: one is asked to sign in, and not told that the server is away', async () => {
    const { chat, sockets } = bench({ token: async () => Promise.reject(new SignInRequiredError('invalid_grant')) });
    chat.start();
    await pass();
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'SIGN_IN_REQUIRED', closeCode: 4501 });
    expect(sockets).toHaveLength(0);
  });

  test('a request that is refused is made once more with another', async () => {
    const [stale, good] = [token(3600, 'stale'), token(3600, 'good')];
    const used: (string | null)[] = [];
    let other = good;
    const { chat } = bench({
      token: async (request) => (request?.refused === stale ? other : stale),
      fetch: async (_, init) => {
        const sent = new Headers(init?.headers).get('Authorization');
        used.push(sent);
        return sent === `Bearer ${good}` ? Response.json({ totalUnread: 0, conversations: [] }) : new Response('', { status: 401 });
      },
    });
    await chat.api.unread();
    expect(used).toEqual([`Bearer ${stale}`, `Bearer ${good}`]);
    other = stale;
    await expect(chat.api.unread()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(used).toHaveLength(3);
  });

  test('a source that never answers does not hold a request for ever', async () => {
    const { chat } = bench({ token: () => new Promise(() => {}) });
    const asked = expect(chat.api.unread()).rejects.toMatchObject({ code: 'OFFLINE' });
    await pass(15_000);
    await asked;
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

describe('where there can be no connection one is told why', () => {
  test.each(['', '/chat', 'chat.test', 'http://', 'ftp://chat.test', 'undefined'])('the address %j is a mistake', (url) => {
    expect(() => bench({ url })).toThrow(TypeError);
  });

  test.each([
    ['https://chat.test', 'wss://chat.test/chat/ws'],
    ['http://[::1]:5000/base/?a=b#c', 'ws://[::1]:5000/base/chat/ws'],
    [new URL('https://chat.test/a/b/'), 'wss://chat.test/a/b/chat/ws'],
  ])('%s: the socket is at %s, also where the URL class has no setters', async (url, address) => {
    const { chat, last } = bench({ url });
    vi.stubGlobal('URL', class {
      constructor() {
        throw new Error('not implemented');
      }
    });
    chat.start();
    await pass();
    vi.unstubAllGlobals();
    expect(last().url).toBe(address);
  });

  test('a page that came by https and a server without it: refused, in words, whether the browser throws or closes', async () => {
    vi.stubGlobal('location', { protocol: 'https:' });
    class Throwing {
      constructor() {
        throw new DOMException('An insecure WebSocket connection may not be initiated from a page loaded over HTTPS.', 'SecurityError');
      }
    }
    const throwing = bench({ url: 'http://chat.test', WebSocket: Throwing as never });
    const closing = bench({ url: 'http://chat.test' });
    const local = bench({ url: 'http://localhost:5000' });
    for (const { chat } of [throwing, closing, local]) chat.start();
    await pass();
    closing.last().end(1006);
    local.last().end(1006);
    for (const { chat } of [throwing, closing])
      expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'ADDRESS_NOT_ALLOWED', reason: expect.stringContaining('https') });
    expect(local.status()).toBe('reconnecting');
    vi.unstubAllGlobals();
  });

  test('without a WebSocket class', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const { chat } = bench({ WebSocket: undefined as never });
    chat.start();
    await pass();
    vi.unstubAllGlobals();
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'NO_WEBSOCKET', reason: expect.stringContaining('ws package') });
  });
});

test('what is not the server\'s, and what a later version says, breaks nothing', async () => {
  const { chat, last, status } = await connected();
  vi.stubGlobal('reportError', () => {});
  const hear = (data: unknown) => last().onmessage?.({ data } as never);
  for (const data of ['', '{', 'null', '7', '[]', '{"type":7}', '{"type":"toString"}', '{"type":"__proto__","payload":{}}', '{"type":"message.reacted"}'])
    hear(data);
  for (const type of ['message.new', 'message.sent', 'conversation.updated', 'status.bulk', 'typing.update', 'message.read_ack', 'message.read_update', 'block.added', 'user.online', 'error'])
    hear(JSON.stringify({ type }));
  hear(JSON.stringify({ type: 'error', payload: { code: 'LIMIT_REACHED', message: '', retryable: false } }));
  vi.unstubAllGlobals();
  expect(status()).toBe('online');
  expect(chat.getState().conversations).toEqual({});
});
