import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { backoffDelay, reconnectAdvice } from '../src/backoff.js';
import { SignInRequiredError } from '../src/index.js';
import { createTestChat, answerDefaults, token } from './fakes.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs pending microtasks, then advances the clock. */
const advance = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

async function connected(own: Parameters<typeof createTestChat>[0] = {}) {
  const made = createTestChat(own);
  made.chat.start();
  await advance();
  made.last().open();
  await advance();
  expect(made.status()).toBe('online');
  return made;
}

describe('close codes', () => {
  test.each([1000, 1001, 1006, 1011, 1012, 1013, 4000, 4408, 4412, 4499])('%i: reconnects after a back-off', async (code) => {
    expect(reconnectAdvice(code)).toBe('reconnect');
    const { sockets, last, status, chat } = await connected();
    last().serverCloses(code, 'why');
    expect(chat.getState().connection).toMatchObject({ status: 'reconnecting', closeCode: code, reason: 'why', attempt: 1 });
    await advance(499);
    expect(sockets).toHaveLength(1);
    await advance(1);
    expect(sockets).toHaveLength(2);
    last().open();
    await advance();
    expect(status()).toBe('online');
  });

  test.each([1002, 1003, 1007, 1009, 4500, 4501, 4502, 4503, 4999])('%i: does not reconnect', async (code) => {
    expect(reconnectAdvice(code)).toBe('giveUp');
    const { sockets, last, chat } = await connected();
    last().serverCloses(code, 'why');
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', closeCode: code, reason: 'why' });
    await advance(3600_000);
    expect(sockets).toHaveLength(1);
  });

  test('after a rejection the application can start again', async () => {
    const { last, sockets, chat, status } = await connected();
    last().serverCloses(4501);
    chat.start();
    await advance();
    expect(sockets).toHaveLength(2);
    last().open();
    await advance();
    expect(status()).toBe('online');
  });

  test('4401: reconnects at once, with a fresh token', async () => {
    let asked = 0;
    const { last, sockets } = await connected({ token: async () => token(3600, `${asked++}`) });
    const first = last().sent[0];
    last().serverCloses(4401);
    await advance(0);
    last().open();
    expect(sockets).toHaveLength(2);
    expect(last().sent[0]?.type).toBe('auth');
    expect(last().sent[0]).not.toEqual(first);
  });

  test('4401 repeatedly: reconnects with a back-off', async () => {
    const { last, sockets } = await connected();
    last().serverCloses(4401);
    await advance(0);
    expect(sockets).toHaveLength(2);
    last().serverCloses(4401);
    await advance(999);
    expect(sockets).toHaveLength(2);
    await advance(1);
    expect(sockets).toHaveLength(3);
  });
});

describe('the back-off', () => {
  test('doubles up to its cap, with full jitter', () => {
    const half = () => 0.5;
    expect([1, 2, 3, 4, 7, 8, 50, 5000].map((attempt) => backoffDelay(attempt, 500, 30_000, half))).toEqual([250, 500, 1000, 2000, 15_000, 15_000, 15_000, 15_000]);
    expect(backoffDelay(3, 500, 30_000, () => 0)).toBe(0);
    expect(backoffDelay(3, 500, 30_000, () => 1)).toBe(2000);
  });

  test('grows with each failure, and is reset by a stable connection', async () => {
    const { chat, sockets, last } = createTestChat();
    chat.start();
    await advance();
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      last().serverCloses(1006);
      const { retryAt } = chat.getState().connection;
      pauses.push(retryAt! - Date.now());
      await advance(pauses.at(-1));
      expect(sockets).toHaveLength(attempt + 2);
    }
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);

    last().open();
    await advance(9_999);
    last().serverCloses(1006);
    expect(chat.getState().connection.attempt).toBe(9);
    await advance(30_000);
    last().open();
    await advance(10_000);
    last().serverCloses(1006);
    expect(chat.getState().connection.attempt).toBe(1);
  });

  test('a token that could not be fetched is requested again', async () => {
    let asked = 0;
    const { chat, sockets } = createTestChat({
      token: async () => {
        if (++asked < 3) throw new Error('the issuer is away');
        return token();
      },
    });
    chat.start();
    await advance();
    expect(chat.getState().connection).toMatchObject({ status: 'reconnecting', reason: 'no token: the issuer is away' });
    await advance(1500);
    expect(asked).toBe(3);
    expect(sockets).toHaveLength(1);
  });

  test('a socket that never opens and a sign-in without an answer time out', async () => {
    const { chat, sockets, last } = createTestChat({ answer: () => {} });
    chat.start();
    await advance(15_000);
    expect(sockets[0]!.isClosed).toBe(true);
    expect(chat.getState().connection.status).toBe('reconnecting');
    await advance(500);
    last().open();
    await advance(15_000);
    expect(sockets[1]!.isClosed).toBe(true);
    expect(chat.getState().connection).toMatchObject({ status: 'reconnecting', attempt: 2 });
  });
});

describe('the network', () => {
  test('going offline is a hint: a connection that answers is kept', async () => {
    const { network, sockets, last, status } = await connected();
    network.set(false);
    expect(last().sent.at(-1)?.type).toBe('ping');
    await advance(600_000);
    expect([status(), sockets.length]).toEqual(['online', 1]);
  });

  test('going offline detects a dead connection within five seconds, and attempts continue', async () => {
    let isDead = false;
    const { chat, network, sockets, last, status } = await connected({ answer: (socket, event) => (isDead ? undefined : answerDefaults(socket, event)) });
    isDead = true;
    network.set(false);
    await advance(4_999);
    expect(status()).toBe('online');
    await advance(1);
    expect(chat.getState().connection).toMatchObject({ status: 'offline', attempt: 1, retryAt: Date.now() + 500 });
    await advance(500);
    expect([status(), sockets.length]).toEqual(['offline', 2]);
    isDead = false;
    last().open();
    await advance();
    expect(status()).toBe('online');
  });

  test('a server on this machine is reached without a network', async () => {
    const { chat, network, last, status } = createTestChat();
    network.set(false);
    chat.start();
    await advance();
    last().open();
    await advance();
    expect(status()).toBe('online');
  });

  test('coming online restarts a hanging attempt, and ends a back-off', async () => {
    const { chat, network, sockets, last, status } = createTestChat();
    network.set(false);
    chat.start();
    await advance(1_000);
    network.set(true);
    await advance();
    expect([sockets.length, sockets[0]!.isClosed]).toEqual([2, true]);
    last().serverCloses(1006);
    expect(status()).toBe('reconnecting');
    network.set(false);
    expect(status()).toBe('offline');
    network.set(true);
    await advance();
    expect(sockets).toHaveLength(3);
    last().serverCloses(1006);
    chat.reconnect();
    await advance();
    expect(sockets).toHaveLength(4);
  });

  test('nothing is attempted after stop', async () => {
    const { chat, network, sockets, last, status } = await connected();
    chat.stop();
    expect(last().closedWith).toBe(1000);
    network.set(false);
    network.set(true);
    await advance(3600_000);
    expect([status(), sockets.length]).toEqual(['idle', 1]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('the heartbeat', () => {
  test('pings after a silence, and a pong keeps the connection', async () => {
    const { sockets, last } = await connected();
    await advance(20_000 - 1);
    expect(last().sent.filter(({ type }) => type === 'ping')).toHaveLength(0);
    await advance(20_000);
    expect(last().sent.filter(({ type }) => type === 'ping').length).toBeGreaterThan(0);
    await advance(600_000);
    expect(sockets).toHaveLength(1);
  });

  test('without a pong the connection is dead, even if the socket is open', async () => {
    let isDead = false;
    const { chat, sockets, last } = await connected({ answer: (socket, event) => (isDead ? undefined : answerDefaults(socket, event)) });
    isDead = true;
    await advance(28_000 + 500);
    expect(sockets[0]!.isClosed).toBe(true);
    isDead = false;
    expect(sockets).toHaveLength(2);
    last().open();
    await advance();
    expect(chat.getState().connection.status).toBe('online');
  });

  test('a dead connection is detected 28 s after the last frame', async () => {
    let isDead = false;
    const { chat, last } = await connected({ answer: (socket, event) => (isDead ? undefined : answerDefaults(socket, event)) });
    await advance(13_000);
    last().push('user.online', { userId: 'x', onlineAt: '' });
    isDead = true;
    await advance(27_999);
    expect(chat.getState().connection.status).toBe('online');
    await advance(1);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('repeated probes do not postpone the deadline', async () => {
    let isDead = false;
    const { chat, network } = await connected({ answer: (socket, event) => (isDead ? undefined : answerDefaults(socket, event)) });
    isDead = true;
    for (let look = 0; look < 4; look++) {
      network.set(true);
      await advance(1_000);
    }
    expect(chat.getState().connection.status).toBe('online');
    await advance(1_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('after sleep the time-out is five seconds', async () => {
    let isDead = false;
    const { chat, network } = await connected({ answer: (socket, event) => (isDead ? undefined : answerDefaults(socket, event)) });
    isDead = true;
    // No timers run while the device is asleep.
    vi.setSystemTime(Date.now() + 3600_000);
    network.set(true);
    await advance(5_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('a frame that was buffered during sleep does not count as a sign of life', async () => {
    let isDead = false;
    const { chat, network, last } = await connected({ answer: (socket, event) => (isDead ? undefined : answerDefaults(socket, event)) });
    isDead = true;
    network.set(true);
    last().push('user.online', { userId: 'x', onlineAt: '' });
    await advance(5_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('other frames count as a sign of life on a slow network, before the pong', async () => {
    let isDead = false;
    const { status, network, last } = await connected({ answer: (socket, event) => (isDead ? undefined : answerDefaults(socket, event)) });
    isDead = true;
    network.set(true);
    await advance(4_000);
    last().push('user.online', { userId: 'x', onlineAt: '' });
    await advance(1_000);
    expect(status()).toBe('online');
  });

  test('setting the clock back does not keep a dead connection alive', async () => {
    let isDead = false;
    const { chat } = await connected({ answer: (socket, event) => (isDead ? undefined : answerDefaults(socket, event)) });
    isDead = true;
    vi.setSystemTime(Date.now() - 3600_000);
    await advance(28_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('a request without an answer triggers a probe', async () => {
    let isDead = false;
    const { chat, last } = await connected({ answer: (socket, event) => (isDead ? undefined : answerDefaults(socket, event)) });
    isDead = true;
    chat.send('c', 'hello');
    await advance(2_999);
    expect(last().sent.at(-1)?.type).toBe('message.send');
    await advance(1);
    expect(last().sent.at(-1)?.type).toBe('ping');
    await advance(5_000);
    expect(chat.getState().connection.status).toBe('reconnecting');
  });

  test('reconnect() probes a live connection at once', async () => {
    const { chat, last } = await connected();
    await advance(1000);
    chat.reconnect();
    expect(last().sent.at(-1)?.type).toBe('ping');
  });
});

describe('tokens', () => {
  test('are renewed on the live connection, a minute before they expire', async () => {
    let asked = 0;
    const { last, sockets } = await connected({ token: async () => token(600, `${asked++}`) });
    const auths = () => last().sent.filter(({ type }) => type === 'auth').length;
    await advance(539_000);
    expect(auths()).toBe(1);
    await advance(1_100);
    expect(auths()).toBe(2);
    await advance(541_000);
    expect(auths()).toBe(3);
    expect(sockets).toHaveLength(1);
  });

  test('that live less than two minutes are renewed half-way', async () => {
    let asked = 0;
    const { last } = await connected({ token: async () => token(20, `${asked++}`) });
    await advance(11_000);
    expect(last().sent.filter(({ type }) => type === 'auth')).toHaveLength(2);
  });

  test('an unchanged token is not presented again, and is requested at intervals', async () => {
    const only = token(600);
    let asked = 0;
    const { last } = await connected({
      token: async () => {
        asked++;
        return only;
      },
    });
    asked = 0;
    await advance(599_000);
    expect(last().sent.filter(({ type }) => type === 'auth')).toHaveLength(1);
    expect(asked).toBeLessThan(12);
  });

  test('expiry is measured by the server\'s clock, not the device\'s', async () => {
    // The device's clock is an hour behind: the token seems to last an hour longer.
    const hour = 3600_000;
    let asked = 0;
    const { last } = await connected({
      token: async () => token(3600 + 600, `${asked++}`),
      answer: (socket, event) => {
        if (event.type !== 'auth') return answerDefaults(socket, event);
        socket.accept('epoch', Date.now() + hour);
      },
    });
    await advance(541_000);
    expect(last().sent.filter(({ type }) => type === 'auth')).toHaveLength(2);
  });

  test('an expired one is replaced once; the same one again is rejected', async () => {
    const expired = token(-1);
    let isFresh = false;
    const { chat, last, sockets, status } = createTestChat({
      token: async () => (isFresh ? token() : expired),
      answer: (socket, event) => {
        if (event.type !== 'auth' || event.payload.token !== expired) return answerDefaults(socket, event);
        socket.push('auth_failed', { code: 'TOKEN_EXPIRED', message: 'The token has run out.' });
        socket.serverCloses(4501, 'not authorised');
      },
    });
    chat.start();
    await advance();
    last().open();
    expect(status()).toBe('reconnecting');
    await advance(500);
    expect([status(), sockets.length]).toEqual(['rejected', 1]);

    chat.start();
    await advance();
    last().open();
    isFresh = true;
    await advance(500);
    last().open();
    await advance();
    expect(status()).toBe('online');
  });

  test.each(['TOKEN_EXPIRED', 'TOKEN_INVALID'] as const)('%s: another one is requested once, bypassing the cache', async (code) => {
    const requests: (string | undefined)[] = [];
    const [stale, good] = [token(3600, 'stale'), token(3600, 'good')];
    const { chat, last, status } = createTestChat({
      token: async (request) => {
        requests.push(request?.refused);
        return request?.refused === stale ? good : stale;
      },
      answer: (socket, event) => {
        if (event.type !== 'auth' || event.payload.token !== stale) return answerDefaults(socket, event);
        socket.push('auth_failed', { code, message: '' });
        socket.serverCloses(4501);
      },
    });
    chat.start();
    await advance();
    last().open();
    await advance();
    last().open();
    await advance();
    expect(status()).toBe('online');
    expect(requests.slice(0, 2)).toEqual([undefined, stale]);
  });

  test('after two refused tokens in a row the connection is rejected', async () => {
    let asked = 0;
    const { chat, last, sockets } = createTestChat({
      token: async () => token(3600, `${asked++}`),
      answer: (socket, event) => {
        if (event.type !== 'auth') return;
        socket.push('auth_failed', { code: asked === 1 ? 'TOKEN_EXPIRED' : 'TOKEN_INVALID', message: '' });
        socket.serverCloses(4501);
      },
    });
    chat.start();
    await advance();
    last().open();
    await advance(500);
    last().open();
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'TOKEN_INVALID', closeCode: 4501 });
    await advance(3600_000);
    expect(sockets).toHaveLength(2);
  });

  test('a SignInRequiredError ends the session', async () => {
    let isOver = false;
    const source = async () => {
      if (isOver) throw new SignInRequiredError('invalid_grant');
      return token(600, `${Date.now()}`);
    };
    const { chat, sockets, last, status } = await connected({ token: source });
    isOver = true;
    await advance(541_000);
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'SIGN_IN_REQUIRED', reason: 'invalid_grant' });
    await advance(3600_000);
    expect(sockets).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);

    isOver = false;
    chat.start();
    await advance();
    last().open();
    await advance();
    expect(status()).toBe('online');
    // A request may find out before the connection does.
    isOver = true;
    await expect(chat.api.unread()).rejects.toMatchObject({ code: 'UNAUTHORIZED', retryable: false });
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'SIGN_IN_REQUIRED' });
  });

  test('a SignInRequiredError at the start is a sign-in problem, not an outage', async () => {
    const { chat, sockets } = createTestChat({ token: async () => Promise.reject(new SignInRequiredError('invalid_grant')) });
    chat.start();
    await advance();
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'SIGN_IN_REQUIRED', closeCode: 4501 });
    expect(sockets).toHaveLength(0);
  });

  test('a REST request with a refused token is retried once with another one', async () => {
    const [stale, good] = [token(3600, 'stale'), token(3600, 'good')];
    const used: (string | null)[] = [];
    let other = good;
    const { chat } = createTestChat({
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

  test('a token source that never answers does not block a request for ever', async () => {
    const { chat } = createTestChat({ token: () => new Promise(() => {}) });
    const asked = expect(chat.api.unread()).rejects.toMatchObject({ code: 'OFFLINE' });
    await advance(15_000);
    await asked;
  });
});

test('events of an earlier socket are ignored', async () => {
  const { chat, sockets, last } = await connected();
  const old = sockets[0]!;
  const [message, close] = [old.onmessage!, old.onclose!];
  old.serverCloses(1006);
  await advance(500);
  last().open();
  await advance();
  message({ data: JSON.stringify({ type: 'user.online', payload: { userId: 'x', onlineAt: '' } }) } as never);
  close({ code: 4501, reason: '' } as never);
  expect(chat.getState().presence).toEqual({});
  expect(chat.getState().connection.status).toBe('online');
});

test('the URL of the socket is below the address of the server, whatever its path', async () => {
  const { last } = await connected();
  expect(last().url).toBe('wss://chat.test/base/chat/ws');
});

describe('when no connection is possible the state says why', () => {
  test.each(['', '/chat', 'chat.test', 'http://', 'ftp://chat.test', 'undefined'])('the address %j is a TypeError', (url) => {
    expect(() => createTestChat({ url })).toThrow(TypeError);
  });

  test.each([
    ['https://chat.test', 'wss://chat.test/chat/ws'],
    ['http://[::1]:5000/base/?a=b#c', 'ws://[::1]:5000/base/chat/ws'],
    [new URL('https://chat.test/a/b/'), 'wss://chat.test/a/b/chat/ws'],
  ])('%s: the socket is at %s, even if the URL class has no setters', async (url, address) => {
    const { chat, last } = createTestChat({ url });
    vi.stubGlobal('URL', class {
      constructor() {
        throw new Error('not implemented');
      }
    });
    chat.start();
    await advance();
    vi.unstubAllGlobals();
    expect(last().url).toBe(address);
  });

  test('mixed content is rejected with a reason, whether the browser throws or closes', async () => {
    vi.stubGlobal('location', { protocol: 'https:' });
    class Throwing {
      constructor() {
        throw new DOMException('An insecure WebSocket connection may not be initiated from a page loaded over HTTPS.', 'SecurityError');
      }
    }
    const throwing = createTestChat({ url: 'http://chat.test', WebSocket: Throwing as never });
    const closing = createTestChat({ url: 'http://chat.test' });
    const local = createTestChat({ url: 'http://localhost:5000' });
    for (const { chat } of [throwing, closing, local]) chat.start();
    await advance();
    closing.last().serverCloses(1006);
    local.last().serverCloses(1006);
    for (const { chat } of [throwing, closing])
      expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'ADDRESS_NOT_ALLOWED', reason: expect.stringContaining('https') });
    expect(local.status()).toBe('reconnecting');
    vi.unstubAllGlobals();
  });

  test('without a WebSocket class', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const { chat } = createTestChat({ WebSocket: undefined as never });
    chat.start();
    await advance();
    vi.unstubAllGlobals();
    expect(chat.getState().connection).toMatchObject({ status: 'rejected', problem: 'NO_WEBSOCKET', reason: expect.stringContaining('ws package') });
  });
});

test('malformed frames and events of a later version are ignored', async () => {
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
