export interface Claims {
  readonly sub?: string;
  readonly exp?: number;
  readonly name?: string;
  readonly preferred_username?: string;
}

/** The claims of a token, unverified: only the server can tell whether they are true. */
export function claimsOf(token: string): Claims {
  try {
    const bytes = Uint8Array.from(atob(token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Claims;
  } catch {
    return {};
  }
}
