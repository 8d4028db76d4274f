import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createTokenSource, exclusively, SignInRequiredError, type TokenSession } from '../src/index.js';
import { fakeLocks } from './fakes.js';

interface Session extends TokenSession {
  readonly refreshToken: string;
}

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});
const advance = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

/** An issuer with single-use refresh tokens: reuse ends the session. Access tokens live ten minutes by its own clock. */
function issuer(clockAhead = 0) {
  let count = 0;
  let isOver = false;
  let asked = 0;
  const made = { delay: 100, isDown: false };
  const issue = () => {
    const iat = Math.floor((Date.now() + clockAhead) / 1000);
    return { token: `e30.${btoa(JSON.stringify({ sub: 'u', iat, exp: iat + 600, n: ++count }))}.`, refreshToken: `${count}` };
  };
  return Object.assign(made, {
    issue: (): Session => ({ ...issue(), receivedAt: Date.now() }),
    asked: () => asked,
    async refresh({ refreshToken }: Session) {
      asked++;
      await new Promise((resolve) => setTimeout(resolve, made.delay));
      if (made.isDown) throw new TypeError('Failed to fetch');
      if (isOver || refreshToken !== `${count}`) {
        isOver = true;
        throw new SignInRequiredError('invalid_grant');
      }
      return issue();
    },
  });
}

/** A browser whose tabs share a session. */
function browser(at = issuer()) {
  vi.stubGlobal('navigator', { locks: fakeLocks() });
  const shared: { session: Session | null } = { session: at.issue() };
  const tab = () =>
    createTokenSource<Session>({
      name: 's',
      read: () => shared.session,
      write: (session) => void (shared.session = session),
      refresh: (session) => at.refresh(session),
    });
  return { at, shared, tab };
}

describe('createTokenSource', () => {
  test('returns the cached token until two minutes before expiry', async () => {
    const { at, shared, tab } = browser();
    const token = tab();
    const first = shared.session!.token;
    await advance(479_000);
    expect(await token()).toBe(first);
    await advance(2_000);
    const asked = token();
    await advance(100);
    expect(await asked).toBe(shared.session!.token);
    expect(shared.session!.token).not.toBe(first);
    expect(at.asked()).toBe(1);
  });

  test.each([-600, 600, -36_000, 36_000])('is unaffected by a device clock that is %i seconds off', async (seconds) => {
    const { at, tab } = browser(issuer(-seconds * 1000));
    const token = tab();
    for (let request = 0; request < 100; request++) {
      const asked = token();
      await advance(100);
      await asked;
      await advance(23_900);
    }
    // Just under forty minutes of requests, with tokens that are used for eight.
    expect(at.asked()).toBe(4);
  });

  test('refreshes a refused token once for all concurrent callers', async () => {
    const { at, shared, tab } = browser();
    const token = tab();
    const refused = shared.session!.token;
    const asked = Promise.all([token({ refused }), token({ refused }), token({ refused })]);
    await advance(100);
    expect(new Set(await asked)).toEqual(new Set([shared.session!.token]));
    // A late caller with the old token.
    expect(await token({ refused })).toBe(shared.session!.token);
    expect(at.asked()).toBe(1);
  });

  test('two tabs never use a refresh token twice', async () => {
    const { at, tab } = browser();
    const tabs = [tab(), tab(), tab()];
    for (let round = 0; round < 20; round++) {
      await advance(300_000);
      const asked = Promise.all(tabs.map((token) => token()));
      await advance(1_000);
      expect(new Set(await asked).size).toBe(1);
    }
    expect(at.asked()).toBeLessThanOrEqual(20);
  });

  test('a refresh does not undo a sign-out during it', async () => {
    const { shared, tab } = browser();
    const token = tab();
    await advance(500_000);
    const asked = expect(token()).rejects.toBeInstanceOf(SignInRequiredError);
    await advance(50);
    shared.session = null;
    await advance(100);
    await asked;
    expect(shared.session).toBeNull();
    await expect(token()).rejects.toBeInstanceOf(SignInRequiredError);
  });

  test('rejects permanently if the refresh token is rejected', async () => {
    const { shared, tab } = browser();
    shared.session = { ...shared.session!, refreshToken: 'stolen' };
    await advance(590_000);
    const asked = expect(tab()()).rejects.toBeInstanceOf(SignInRequiredError);
    await advance(100);
    await asked;
  });

  test('an unavailable issuer has no effect while the token is valid, and is not called for each request', async () => {
    const { at, shared, tab } = browser();
    const token = tab();
    at.isDown = true;
    await advance(500_000);
    for (let request = 0; request < 10; request++) {
      const asked = token();
      await advance(100);
      expect(await asked).toBe(shared.session!.token);
    }
    expect(at.asked()).toBe(1);
    await advance(100_000);
    const asked = expect(token()).rejects.toThrow('Failed to fetch');
    await advance(100);
    await asked;
    at.isDown = false;
    const again = token();
    await advance(100);
    expect(await again).toBe(shared.session!.token);
  });

  test('without a way to refresh, returns the current token', async () => {
    const session = { token: 'opaque', receivedAt: 0 };
    const token = createTokenSource({ name: 's', read: () => session, write: () => {}, refresh: async () => undefined });
    expect(await token()).toBe('opaque');
    expect(await token({ refused: 'opaque' })).toBe('opaque');
  });

  test('a new session does not get the token of the old one', async () => {
    const { at, shared, tab } = browser();
    const token = tab();
    await advance(500_000);
    const old = token().catch(() => 'none');
    await advance(50);
    shared.session = { ...at.issue(), token: 'somebody else\'s' };
    expect(await token()).toBe('somebody else\'s');
    await advance(100);
    await old;
    expect(shared.session.token).toBe('somebody else\'s');
  });
});

describe('exclusively', () => {
  test('steals the lock from a tab that does not release it', async () => {
    vi.stubGlobal('navigator', { locks: fakeLocks() });
    let finish = (_: string) => {};
    const hanging = exclusively('l', 5_000, () => new Promise<string>((resolve) => (finish = resolve)));
    const waiting = exclusively('l', 5_000, async () => 'second');
    await advance(4_999);
    const third = exclusively('l', 5_000, async () => 'third');
    await advance(1);
    expect(await waiting).toBe('second');
    expect(await third).toBe('third');
    // The first one still gets its own result.
    finish('first');
    expect(await hanging).toBe('first');
  });

  test('passes failures on to the caller, and does not run after an abort', async () => {
    vi.stubGlobal('navigator', { locks: fakeLocks() });
    await expect(exclusively('l', 5_000, async () => Promise.reject(new Error('its own')))).rejects.toThrow('its own');
    void exclusively('l', 5_000, () => new Promise(() => {}));
    const gone = new AbortController();
    let hasRun = false;
    const waiting = expect(exclusively('l', 5_000, async () => (hasRun = true), gone.signal)).rejects.toThrow();
    gone.abort();
    await waiting;
    expect(hasRun).toBe(false);
  });

  test.each([undefined, {}, { locks: { request: async () => Promise.reject(new DOMException('denied', 'SecurityError')) } }])('%j: runs at once without Web Locks', async (navigator) => {
    vi.stubGlobal('navigator', navigator);
    expect(await exclusively('l', 5_000, async () => 'done')).toBe('done');
  });
});
