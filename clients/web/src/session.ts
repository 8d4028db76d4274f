import { createTokenSource, SignInRequiredError, uuid, webStorage, type TokenSession } from 'chat-client';
import { useSyncExternalStore } from 'react';
import { base } from './base.ts';
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

/** How somebody has signed in, and what a fresh token can be had from. */
export interface SignedIn {
  readonly token: string;
  /** A name of Development's: it gets a new token for the asking. */
  readonly devName?: string;
  /** The issuer's word that it will give another token. */
  readonly refreshToken?: string;
  /** Whether new windows and the next start of the browser are signed in, too. */
  readonly rememberMe: boolean;
}

/** A sign-in, which all windows share that came from it. */
export interface Session extends SignedIn, TokenSession {
  readonly id: string;
}

/** What somebody who signs in is told when it does not work. */
export class SignInError extends Error {}

/** What windows tell each other. */
type Word =
  | { readonly type: 'renewed'; readonly session: Session }
  | { readonly type: 'ended'; readonly id: string; readonly reason?: string | null }
  /** Before a refresh: has somebody done it already? */
  | { readonly type: 'asked'; readonly id: string; readonly token: string };

const key = 'chat.session';
const endedKey = 'chat.ended';
const mostEnded = 20;
const answerTime = 200;
const fetchTime = 10_000;
const local = webStorage('localStorage');
const own = webStorage('sessionStorage');
const channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel(key);
const say = (word: Word) => channel?.postMessage(word);
const listeners = new Set<() => void>();
let current: Session | null = null;
/** Of the session that this window has, or had last. */
let latestId: string | undefined;
let signOutReason: string | null = null;

/** Each window has a session of its own, so that two windows can be two people; a kept one is where new windows begin. */
export function restoreSession(): void {
  const kept = stored(local.get(key));
  const session = newer(stored(own.get(key)), kept) ?? kept;
  if (session && !hasEnded(session.id)) show(session);
}

/** Begins a session, or ends it: in all windows that share it. */
export function setSession(next: SignedIn | null, reason: string | null = null): void {
  if (next) {
    store({ ...next, id: uuid(), receivedAt: Date.now() });
    return;
  }

  if (current) {
    const { id } = current;
    local.set(endedKey, JSON.stringify([...ended().filter((other) => other !== id), id].slice(-mostEnded)));
    if (stored(local.get(key))?.id === id) local.remove(key);
    say({ type: 'ended', id, reason });
  }

  show(null, reason);
}

function store(session: Session): void {
  const kept = stored(local.get(key));
  // Somebody else may have been signed in since, to stay: new windows are theirs.
  if (session.rememberMe && (!kept || kept.id === session.id || session.id !== current?.id)) local.set(key, JSON.stringify(session));
  show(session);
}

function show(session: Session | null, reason: string | null = null): void {
  if (session) own.set(key, JSON.stringify(session));
  else own.remove(key);
  current = session;
  latestId = session?.id ?? latestId;
  signOutReason = reason;
  for (const listener of listeners) listener();
}

/** Of two states of one session the later; the first, if they are two sessions. */
const newer = (session: Session | null, other: Session | null): Session | null =>
  session && other?.id === session.id && other.receivedAt > session.receivedAt ? other : session;

function ended(): readonly string[] {
  try {
    const ids: unknown = JSON.parse(local.get(endedKey) ?? '[]');
    return Array.isArray(ids) ? ids.filter((id) => typeof id === 'string') : [];
  } catch {
    return [];
  }
}

const hasEnded = (id: string): boolean => ended().includes(id);

/** Whoever can write to the storage can write anything, an older version of the page too. */
function stored(value: string | null): Session | null {
  try {
    const session = JSON.parse(value ?? 'null') as Partial<Session> | null;
    if (typeof session?.token !== 'string') return null;
    return { ...session, token: session.token, rememberMe: session.rememberMe === true, id: session.id ?? session.token, receivedAt: session.receivedAt ?? 0 };
  } catch {
    return null;
  }
}

/** Takes over what other windows have done to the session: also what a window that slept has not heard. */
function reread(): void {
  if (!current) return;
  if (hasEnded(current.id)) show(null);
  else adopt(stored(local.get(key)));
}

function adopt(other: Session | null): void {
  const next = newer(current, other);
  if (next && next !== current) show(next);
}

channel?.addEventListener('message', ({ data: word }: MessageEvent<Word>) => {
  // The storage may have told of the end already, and without its reason.
  if (word.type === 'ended') {
    if (word.id === latestId) show(null, word.reason ?? null);
    return;
  }

  if (!current) return;
  if (word.type === 'renewed') adopt(word.session);
  else if (word.id === current.id && word.token !== current.token) say({ type: 'renewed', session: current });
});
window.addEventListener('storage', reread);
window.addEventListener('pageshow', reread);
document.addEventListener('visibilitychange', reread);

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Whether this device is the person's own: what it keeps of them may stay when the window goes. */
export const isRemembered = (): boolean => current?.rememberMe === true;

/** The person who is signed in, as an id: it stays while tokens come and go. */
export const useUserId = (): string | null => useSyncExternalStore(subscribe, () => (current ? (claimsOf(current.token).sub ?? '').toLowerCase() : null));

/** Why one has to sign in again. */
export const useSignOutReason = (): string | null => useSyncExternalStore(subscribe, () => signOutReason);

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
  const answer = await fetch(`${base}client.json`, { signal: AbortSignal.timeout(fetchTime) });
  if (!answer.ok) throw new SignInError(strings.signIn.unreachable);
  return (await answer.json()) as ClientInfo;
}

export async function signInByName(devName: string, rememberMe: boolean): Promise<void> {
  setSession({ token: await devToken(devName), devName, rememberMe });
}

export function signInByToken(token: string, rememberMe: boolean): void {
  if (claimsOf(token).sub === undefined) throw new SignInError(strings.signIn.tokenUnreadable);
  setSession({ token, rememberMe });
}

async function devToken(username: string): Promise<string> {
  const answer = await fetch(`${base}dev/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username }),
    signal: AbortSignal.timeout(fetchTime),
  }).catch(() => {
    throw new SignInError(strings.signIn.unreachable);
  });
  if (answer.status === 400) throw new SignInError(strings.signIn.nameMissing);
  if (!answer.ok) throw new SignInError(strings.signIn.unreachable);
  return ((await answer.json()) as { token: string }).token;
}

/** For every connection and every request. */
export const token = createTokenSource<Session>({
  name: key,
  read() {
    if (current && hasEnded(current.id)) show(null);
    return current;
  },
  async latest() {
    reread();
    const before = current;
    // A session that is not kept is in no common storage: the other windows are asked.
    if (before && channel) {
      say({ type: 'asked', id: before.id, token: before.token });
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          listeners.delete(done);
          resolve();
        };
        const timer = setTimeout(done, answerTime);
        listeners.add(done);
      });
    }
    return current;
  },
  write(session) {
    store(session);
    say({ type: 'renewed', session });
  },
  async refresh(session) {
    if (session.devName !== undefined) return { ...session, token: await devToken(session.devName) };
    if (session.refreshToken === undefined) return undefined;
    const [{ oidc }, { refresh }] = await Promise.all([clientInfo(), import('./oidc.ts')]);
    if (!oidc) throw new SignInRequiredError('This server has no issuer any more.');
    return { ...session, ...(await refresh(oidc, session.refreshToken)) };
  },
});
