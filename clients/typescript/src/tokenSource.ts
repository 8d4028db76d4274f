import { exclusively } from './lock.js';
import { claimsOf, isSignInRequired, SignInRequiredError, type TokenSource } from './token.js';

/** A session as the application stores it: the access token, and whatever is needed to refresh it. */
export interface TokenSession {
  readonly token: string;
  /** When this device received the token, in milliseconds since 1970 by its own clock. */
  readonly receivedAt: number;
}

export interface TokenSourceOptions<Session extends TokenSession> {
  /** Name of the lock around a refresh; the same in all tabs that share the session. */
  readonly name: string;
  /** The session as this tab knows it; null if signed out. */
  read(): Session | null;
  /** The latest session of all tabs; called under the lock, before a refresh. Default: `read`. */
  latest?(): Promise<Session | null>;
  /** Stores a refreshed session for all tabs. Never called after a sign-out. */
  write(session: Session): void;
  /**
   * Gets another token; undefined if that is not possible. Rejects with `SignInRequiredError` if it never will be (`invalid_grant`), and
   * with anything else if it may work later.
   */
  refresh(session: Session): Promise<Omit<Session, 'receivedAt'> | undefined>;
  /** How long before its expiry a token is refreshed, in milliseconds; at most half its lifetime. 120,000. */
  readonly renewBefore?: number;
}

/** How long to wait for another tab's refresh. */
const lockTimeout = 15_000;
/** A failed refresh is not retried at each request. */
const retryAfter = 10_000;
/** Assumed for a token without `iat` that, by this device's clock, expired before it was received. */
const minLifetime = 60_000;

/** A token's lifetime and what is left of it, by its own claims: this device's clock may be wrong, but its intervals are not. */
export function lifetimeOf({ token, receivedAt }: TokenSession, now: number): { readonly whole: number; readonly left: number } {
  const { exp, iat } = claimsOf(token);
  if (exp === undefined) return { whole: Infinity, left: Infinity };
  const whole = iat !== undefined && exp > iat ? (exp - iat) * 1000 : Math.max(minLifetime, exp * 1000 - receivedAt);
  // The clock was set back: the token's age is unknown.
  return { whole, left: now < receivedAt ? 0 : whole - (now - receivedAt) };
}

/**
 * A token source for `createChat`, over a session that all tabs share: refreshed in time, by one tab at a time, since with many issuers
 * a refresh token that is used twice ends the session. A refresh that completes after a sign-out is discarded.
 */
export function createTokenSource<Session extends TokenSession>(options: TokenSourceOptions<Session>): TokenSource {
  let renewal: { readonly of: string; readonly token: Promise<string> } | undefined;
  let failedAt = -Infinity;

  async function renew(session: Session): Promise<string> {
    return exclusively(`chat-session-${options.name}`, lockTimeout, async () => {
      const latest = await (options.latest ?? options.read)();
      if (!latest) throw new SignInRequiredError('Signed out.');
      if (latest.token !== session.token) return latest.token;
      let fresh;
      try {
        fresh = await options.refresh(latest);
      } catch (failure) {
        const now = isSignInRequired(failure) ? await (options.latest ?? options.read)() : undefined;
        // Another tab was faster, without the lock.
        if (now && now.token !== latest.token) return now.token;
        throw failure;
      }

      if (!fresh) return latest.token;
      const now = options.read();
      if (!now) throw new SignInRequiredError('Signed out.');
      if (now.token !== latest.token) return now.token;
      options.write({ ...fresh, receivedAt: Date.now() } as Session);
      return fresh.token;
    });
  }

  return async ({ refused } = {}) => {
    const session = options.read();
    if (!session) throw new SignInRequiredError('Nobody is signed in.');
    const isRefused = session.token === refused;
    const { whole, left } = lifetimeOf(session, Date.now());
    if (!isRefused && left > Math.min(options.renewBefore ?? 120_000, whole / 2)) return session.token;
    const mayWait = !isRefused && left > 0;
    if (mayWait && Math.abs(Date.now() - failedAt) < retryAfter) return session.token;
    if (renewal?.of !== session.token) {
      const token = renew(session).finally(() => {
        if (renewal?.token === token) renewal = undefined;
      });
      renewal = { of: session.token, token };
    }

    try {
      return await renewal!.token;
    } catch (failure) {
      if (isSignInRequired(failure)) throw failure;
      failedAt = Date.now();
      // Still valid for a moment: there is time for another attempt.
      if (mayWait) return session.token;
      throw failure;
    }
  };
}
