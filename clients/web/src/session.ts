import { useSyncExternalStore } from 'react';
import { strings } from './strings.ts';

/** What `GET /client.json` tells before anybody has signed in. */
export interface ClientInfo {
  readonly devSignIn: boolean;
  readonly oidc?: IssuerInfo;
}

export interface IssuerInfo {
  readonly authority: string;
  readonly clientId: string;
  readonly scope: string;
}

/** Who has signed in here, and what a fresh token can be had from. */
export interface Session {
  readonly token: string;
  /** A name of Development's: it gets a new token for the asking. */
  readonly devName?: string;
  /** The issuer's word that it will give another token. */
  readonly refreshToken?: string;
  /** Whether new windows and the next start of the browser are signed in, too. */
  readonly keep: boolean;
}

/** What somebody who signs in is told when it does not work. */
export class SignInError extends Error {}

const key = 'chat.session';
const renewBefore = 120_000;
const listeners = new Set<() => void>();
let current: Session | null = null;
let farewell: string | null = null;

/** Each window has a session of its own, so that two windows can be two people; a kept one is where new windows begin. */
export function restoreSession(): void {
  const stored = sessionStorage.getItem(key) ?? localStorage.getItem(key);
  if (stored) setSession(JSON.parse(stored) as Session);
}

export function setSession(session: Session | null, reason: string | null = null): void {
  if (session) {
    sessionStorage.setItem(key, JSON.stringify(session));
    if (session.keep) localStorage.setItem(key, JSON.stringify(session));
  } else {
    if (current?.keep) localStorage.removeItem(key);
    sessionStorage.clear();
  }
  current = session;
  farewell = reason;
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** The person who is signed in, as an id: it stays while tokens come and go. */
export const useUserId = (): string | null => useSyncExternalStore(subscribe, () => (current ? claimsOf(current.token).sub ?? '' : null));

/** Why one has to sign in again. */
export const useFarewell = (): string | null => useSyncExternalStore(subscribe, () => farewell);

/** The name in the user's own token. */
export function ownName(): string {
  const claims = current ? claimsOf(current.token) : {};
  return claims.preferred_username ?? claims.name ?? strings.conversation.unknown;
}

interface Claims {
  readonly sub?: string;
  readonly exp?: number;
  readonly name?: string;
  readonly preferred_username?: string;
}

/** What a token says. The server alone can tell whether it is true. */
export function claimsOf(token: string): Claims {
  try {
    const bytes = Uint8Array.from(atob(token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Claims;
  } catch {
    return {};
  }
}

export async function clientInfo(): Promise<ClientInfo> {
  const answer = await fetch('/client.json');
  if (!answer.ok) throw new SignInError(strings.signIn.unreachable);
  return (await answer.json()) as ClientInfo;
}

export async function signInByName(devName: string, keep: boolean): Promise<void> {
  setSession({ token: await devToken(devName), devName, keep });
}

export function signInByToken(token: string, keep: boolean): void {
  if (claimsOf(token).sub === undefined) throw new SignInError(strings.signIn.tokenUnreadable);
  setSession({ token, keep });
}

async function devToken(username: string): Promise<string> {
  const answer = await fetch('/dev/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username }),
  }).catch(() => {
    throw new SignInError(strings.signIn.unreachable);
  });
  if (answer.status === 400) throw new SignInError(strings.signIn.nameMissing);
  if (!answer.ok) throw new SignInError(strings.signIn.unreachable);
  return ((await answer.json()) as { token: string }).token;
}

let renewal: Promise<string> | null = null;

/** A token that is good for a while yet, if one can be had: for every connection and every request. */
export async function token(): Promise<string> {
  const session = current;
  if (!session) throw new SignInError(strings.signIn.ended);
  const end = claimsOf(session.token).exp;
  const renewable = session.devName !== undefined || session.refreshToken !== undefined;
  if (!renewable || end === undefined || end * 1000 - Date.now() > renewBefore) return session.token;
  renewal ??= renew(session).finally(() => (renewal = null));
  return renewal;
}

async function renew(session: Session): Promise<string> {
  let fresh: Session;
  if (session.devName !== undefined) {
    fresh = { ...session, token: await devToken(session.devName) };
  } else {
    const [{ oidc }, { refresh }] = await Promise.all([clientInfo(), import('./oidc.ts')]);
    if (!oidc) return session.token;
    fresh = { ...session, ...(await refresh(oidc, session.refreshToken!)) };
  }
  // Whoever has signed out meanwhile stays signed out.
  if (current === session) setSession(fresh);
  return fresh.token;
}
