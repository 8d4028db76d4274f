import { describe, expect, test } from 'vitest';
import { initialPhase, next, type ConnectionContext, type ConnectionInput, type ConnectionPhase } from '../src/connectionPhase.js';

const context: ConnectionContext = { isNetworkOnline: true, now: 1_000, jitter: 1, timing: { backoffBase: 500, backoffCap: 30_000 } };
const lost = (code?: number, wasStable = false): ConnectionInput => ({ type: 'lost', code, reason: '', token: 'token', wasStable });
const refused = (token: string): ConnectionInput => ({ type: 'tokenRefused', token, problem: 'TOKEN_EXPIRED' });
const after = (...inputs: ConnectionInput[]): ConnectionPhase => inputs.reduce((state, input) => next(state, input, context), initialPhase);
const online: ConnectionInput[] = [{ type: 'start' }, { type: 'signedIn' }];

describe('the transitions of a connection', () => {
  test('lead to online', () => {
    expect(after({ type: 'start' }).shown).toEqual({ status: 'connecting', attempt: 0 });
    expect(after(...online)).toEqual({ phase: 'online', shown: { status: 'online', attempt: 0 }, refused: null, expiredToken: null });
  });

  test('count failures until a connection was stable', () => {
    const twice = after(...online, lost(1006), { type: 'connect' }, lost(1006));
    expect(twice).toMatchObject({ phase: 'waiting', shown: { status: 'reconnecting', attempt: 2, retryAt: 2_000, closeCode: 1006 } });
    expect(next(twice, lost(1006, true), context).shown).toMatchObject({ attempt: 1, retryAt: 1_500 });
  });

  test('remember a token that expired, and reconnect at once', () => {
    expect(after(...online, lost(4401))).toMatchObject({ phase: 'waiting', expiredToken: 'token', shown: { retryAt: 1_000 } });
    expect(after(...online, lost(4401), { type: 'connect' }, { type: 'signedIn' }).expiredToken).toBeNull();
  });

  test('try another token once after one was refused', () => {
    const once = after({ type: 'start' }, refused('first'), lost(4501));
    expect(once).toMatchObject({ phase: 'waiting', refused: { token: 'first', isRepeated: false } });
    const again = [{ type: 'connect' } as const, refused('second'), lost(4501)].reduce((state, input) => next(state, input, context), once);
    expect(again).toMatchObject({ phase: 'rejected', refused: null, shown: { status: 'rejected', problem: 'TOKEN_EXPIRED', closeCode: 4501 } });
  });

  test('tell a revocation from a token that was never accepted', () => {
    expect(after(...online, lost(4501)).shown).toMatchObject({ status: 'rejected', problem: 'REVOKED' });
    expect(after({ type: 'start' }, lost(4501)).shown).toMatchObject({ status: 'rejected', problem: 'TOKEN_INVALID' });
    // A renewal that is refused on a live connection.
    expect(after(...online, refused('token'), lost(4501)).phase).toBe('waiting');
  });

  test('show a lost network only while waiting', () => {
    const networkLost: ConnectionInput = { type: 'networkLost' };
    expect(after(...online, lost(1006), networkLost).shown).toMatchObject({ status: 'offline', attempt: 1, retryAt: 1_500 });
    for (const state of [after({ type: 'start' }), after(...online)]) expect(next(state, networkLost, context)).toBe(state);
  });
});
