/** The claims of a JWT, unverified: for scheduling only. */
export interface Claims {
  readonly sub?: string;
  /** In seconds since 1970. */
  readonly exp?: number;
  readonly iat?: number;
}

/** The claims of a token; empty if it is not a JWT. */
export function claimsOf(token: string): Claims {
  try {
    const [, body = ''] = token.split('.');
    const bytes = atob(body.replaceAll('-', '+').replaceAll('_', '/'));
    const text = decodeURIComponent(Array.from(bytes, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`).join(''));
    const claims = JSON.parse(text) as Record<string, unknown>;
    return {
      ...(typeof claims['sub'] === 'string' && { sub: claims['sub'].toLowerCase() }),
      ...(typeof claims['exp'] === 'number' && { exp: claims['exp'] }),
      ...(typeof claims['iat'] === 'number' && { iat: claims['iat'] }),
    };
  } catch {
    return {};
  }
}

/** A request to a token source. */
export interface TokenRequest {
  /** The server rejects this token, or will soon: return another one, not the cached one. */
  readonly refused?: string;
}

/**
 * Returns an access token, from a cache if possible. Rejects with `SignInRequiredError` if the user has to sign in again; after any
 * other failure it is called again later.
 */
export type TokenSource = (request?: TokenRequest) => Promise<string>;

/** The user has to sign in again: the refresh token was rejected (`invalid_grant`), or they have signed out. */
export class SignInRequiredError extends Error {
  override readonly name = 'SignInRequiredError';
}

/** Compares by name, too: a page may contain two copies of this package. */
export const isSignInRequired = (failure: unknown): failure is SignInRequiredError =>
  failure instanceof SignInRequiredError || (failure instanceof Error && failure.name === 'SignInRequiredError');
