import { exclusively } from './lock.js';
import { claimsOf, isSignInRequired, SignInRequiredError, type TokenSource } from './token.js';

/** What a token is had from, as an application stores it; with more of its own. */
export interface TokenSession {
  readonly token: string;
  /** When this device got the token, in milliseconds since 1970 by its own clock. */
  readonly receivedAt: number;
}

export interface TokenSourceOptions<Session extends TokenSession> {
  /** One name for all tabs that share the session: of the lock around a refresh. */
  readonly name: string;
  /** The session as this tab knows it; null: signed out. */
  read(): Session | null;
  /** The session as all tabs know it: asked under the lock, before a refresh. `read`, if it is absent. */
  latest?(): Promise<Session | null>;
  /** Stores what a refresh has given, for all tabs. Never called after a sign-out. */
  write(session: Session): void;
  /**
   * Gets another token; undefined where there is no way to. Rejects with `SignInRequiredError` where there never will be one
   * (`invalid_grant`), with anything else where it may work later.
   */
  refresh(session: Session): Promise<Omit<Session, 'receivedAt'> | undefined>;
  /** How long before its end a token is replaced, in milliseconds; at most half of its life. 120,000. */
  readonly renewBefore?: number;
}

/** For a refresh of another tab, which ends by itself. */
const lockTimeout = 15_000;
/** A refresh that failed is not tried again at each request. */
const retryAfter = 10_000;
/** Of what does not say when it was issued, and by this clock has ended before it came. */
const minLifetime = 60_000;

/** How long a token lives and has left, by its own word: the clock of this device may be wrong, but it goes on evenly. */
export function lifetimeOf({ token, receivedAt }: TokenSession, now: number): { readonly whole: number; readonly left: number } {
  const { exp, iat } = claimsOf(token);
  if (exp === undefined) return { whole: Infinity, left: Infinity };
  const whole = iat !== undefined && exp > iat ? (exp - iat) * 1000 : Math.max(minLifetime, exp * 1000 - receivedAt);
  // The clock was set back: nobody knows how old it is.
  return { whole, left: now < receivedAt ? 0 : whole - (now - receivedAt) };
}

/**
 * Tokens for `createChat`, from a session that all tabs share: refreshed in time, by one tab at a time, since a refresh token
 * that is used twice ends the session with many issuers. A refresh that comes back after a sign-out is dropped.
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
        // Another tab was faster, and knew nothing of the lock.
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
      // Good for a moment yet: time enough to try again.
      if (mayWait) return session.token;
      throw failure;
    }
  };
}
