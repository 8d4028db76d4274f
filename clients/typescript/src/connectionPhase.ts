import { backoffDelay, reconnectAdvice } from './backoff.js';
import type { Timing } from './client.js';
import type { ConnectionProblem, ConnectionState } from './state.js';

export const notAuthorised = 4501;

type Phase =
  | 'idle'
  /** A token is requested, a socket opened or the token checked. */
  | 'connecting'
  | 'online'
  /** Until the next attempt. */
  | 'waiting'
  | 'rejected';

/** Where a connection is between its attempts. */
export interface ConnectionPhase {
  readonly phase: Phase;
  /** What the application sees of it. */
  readonly shown: ConnectionState;
  /** The token that the server has refused: the token source is asked once for another. */
  readonly refused: { readonly token: string; readonly problem: ConnectionProblem; readonly isRepeated: boolean } | null;
  /** A token that expired on a live connection. */
  readonly expiredToken: string | null;
}

export type ConnectionInput =
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  /** An attempt begins. */
  | { readonly type: 'connect' }
  | { readonly type: 'tokenRefused'; readonly token: string; readonly problem: ConnectionProblem }
  | { readonly type: 'signedIn' }
  | ConnectionLost
  /** There is no point in another attempt. */
  | { readonly type: 'reject'; readonly problem: ConnectionProblem | undefined; readonly code: number | undefined; readonly reason: string }
  | { readonly type: 'networkLost' };

/** The socket was closed, or there was no answer. */
interface ConnectionLost {
  readonly type: 'lost';
  readonly code: number | undefined;
  readonly reason: string;
  readonly token: string;
  /** Whether the connection had lasted, which resets the back-off. */
  readonly wasStable: boolean;
}

/** What the next phase depends on besides the input. */
export interface ConnectionContext {
  readonly isNetworkOnline: boolean;
  readonly now: number;
  /** A random number from 0 to 1. */
  readonly jitter: number;
  readonly timing: Pick<Timing, 'backoffBase' | 'backoffCap'>;
}

export const initialPhase: ConnectionPhase = { phase: 'idle', shown: { status: 'idle', attempt: 0 }, refused: null, expiredToken: null };

/** The transitions of a connection. Pure. */
export function next(state: ConnectionPhase, input: ConnectionInput, context: ConnectionContext): ConnectionPhase {
  const { attempt } = state.shown;
  switch (input.type) {
    case 'start':
      return connecting({ ...state, refused: null }, 0, context);
    case 'connect':
      return connecting(state, attempt, context);
    case 'stop':
      return { ...state, phase: 'idle', shown: initialPhase.shown };
    case 'tokenRefused':
      // Twice in a row: another token is not better. `problem` is the latest verdict.
      return {
        ...state,
        refused: { token: state.refused?.token ?? input.token, problem: input.problem, isRepeated: state.refused !== null },
      };
    case 'signedIn':
      return {
        phase: 'online',
        shown: state.phase === 'online' ? state.shown : { status: 'online', attempt },
        refused: null,
        expiredToken: null,
      };
    case 'lost':
      return lost(state, input, context);
    case 'reject':
      return reject(state, attempt, input.problem, input.code, input.reason);
    case 'networkLost':
      return state.shown.status === 'reconnecting' ? { ...state, shown: { ...state.shown, status: 'offline' } } : state;
  }
}

// A missing network is a hint, and no reason not to try: the server may be on this machine.
const connecting = (state: ConnectionPhase, attempt: number, { isNetworkOnline }: ConnectionContext): ConnectionPhase => ({
  ...state,
  phase: 'connecting',
  shown: { status: isNetworkOnline ? 'connecting' : 'offline', attempt },
});

function lost(state: ConnectionPhase, input: ConnectionLost, context: ConnectionContext): ConnectionPhase {
  const { code, reason } = input;
  const { isNetworkOnline, now, jitter, timing } = context;
  const failures = input.wasStable ? 0 : state.shown.attempt;
  const advice = reconnectAdvice(code);
  // 4501 asks for a change, and another token is one; the next attempt shows whether there is another.
  const mayHelp = state.refused !== null && !state.refused.isRepeated;
  if (advice === 'giveUp' && !mayHelp) {
    // If the token itself was at fault, the server has said so first.
    const problem = state.refused?.problem ?? (state.phase === 'online' ? 'REVOKED' : 'TOKEN_INVALID');
    return reject(state, failures, code === notAuthorised ? problem : undefined, code, reason);
  }

  const attempt = failures + 1;
  const isImmediate = failures === 0 && advice !== 'reconnect';
  const delay = isImmediate ? 0 : backoffDelay(attempt, timing.backoffBase, timing.backoffCap, () => jitter);
  return {
    phase: 'waiting',
    refused: state.refused,
    expiredToken: advice === 'refreshToken' ? input.token : state.expiredToken,
    shown: { status: isNetworkOnline ? 'reconnecting' : 'offline', attempt, retryAt: now + delay, ...detailsOf(code, reason) },
  };
}

const reject = (
  state: ConnectionPhase, attempt: number, problem: ConnectionProblem | undefined, code: number | undefined, reason: string,
): ConnectionPhase => ({
  ...state,
  phase: 'rejected',
  refused: null,
  shown: { status: 'rejected', attempt, ...(problem && { problem }), ...detailsOf(code, reason) },
});

const detailsOf = (code: number | undefined, reason: string) => ({
  ...(code !== undefined && { closeCode: code }),
  ...(reason !== '' && { reason }),
});
