/** What a JWT says of itself. Read to plan with, never to trust. */
export interface Claims {
  readonly sub?: string;
  /** In seconds since 1970. */
  readonly exp?: number;
  readonly iat?: number;
}

/** The claims of a token; nothing if it is not a JWT. */
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

/** What is asked of a source of tokens. */
export interface TokenRequest {
  /** The server does not take this one, or not much longer: an answer from a cache must be another. */
  readonly refused?: string;
}

/**
 * A token for the user, from a cache where that is good. Rejects with `SignInRequiredError` where there will be none without
 * the user; after any other failure it is called again later.
 */
export type TokenSource = (request?: TokenRequest) => Promise<string>;

/** There is no token any more: the refresh token was refused (`invalid_grant`), or the user has signed out. Ends the session. */
export class SignInRequiredError extends Error {
  override readonly name = 'SignInRequiredError';
}

/** By name, too: a page may hold two copies of this package. */
export const isSignInRequired = (failure: unknown): failure is SignInRequiredError =>
  failure instanceof SignInRequiredError || (failure instanceof Error && failure.name === 'SignInRequiredError');
