/** What a JWT says of itself. Read to plan with, never to trust. */
export interface Claims {
  readonly sub?: string;
  /** In seconds since 1970. */
  readonly exp?: number;
}

/** The claims of a token; nothing if it is not a JWT. */
export function claimsOf(token: string): Claims {
  try {
    const [, body = ''] = token.split('.');
    const bytes = Uint8Array.from(atob(body.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    return {
      ...(typeof claims['sub'] === 'string' && { sub: claims['sub'].toLowerCase() }),
      ...(typeof claims['exp'] === 'number' && { exp: claims['exp'] }),
    };
  } catch {
    return {};
  }
}
