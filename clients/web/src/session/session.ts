import { uuid } from 'chat-client';
import { strings } from '../strings.ts';
import { claimsOf } from './claims.ts';
import {
  hasEnded, loadOwn, loadRemembered, markEnded, newer, saveOwn, saveRemembered, sessionKey, type Session, type SignedIn,
} from './storage.ts';

/** What windows tell each other. */
type SessionMessage =
  | { readonly type: 'renewed'; readonly session: Session }
  | { readonly type: 'ended'; readonly id: string; readonly reason?: string | null }
  /** Before a refresh: does another window have a newer token? */
  | { readonly type: 'asked'; readonly id: string; readonly token: string };

const answerTimeout = 200;
const channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel(sessionKey);
const post = (message: SessionMessage) => channel?.postMessage(message);
const listeners = new Set<() => void>();
let current: Session | null = null;
/** Of the session that this window has, or had last. */
let latestId: string | undefined;
let signOutReason: string | null = null;

export const currentSession = (): Session | null => current;

/** Why the user has to sign in again. */
export const currentSignOutReason = (): string | null => signOutReason;

/** Calls back when the session has changed. Returns the way to stop that. */
export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Each window has a session of its own, so that two windows can be two people; new windows start with the remembered one. */
export function restoreSession(): void {
  const remembered = loadRemembered();
  const session = newer(loadOwn(), remembered) ?? remembered;
  if (session && !hasEnded(session.id)) setCurrent(session);
}

export const startSession = (signedIn: SignedIn): void => save({ ...signedIn, id: uuid(), receivedAt: Date.now() });

/** Ends the session in all windows that share it. */
export function endSession(reason: string | null = null): void {
  if (current) {
    const { id } = current;
    markEnded(id);
    post({ type: 'ended', id, reason });
  }

  setCurrent(null, reason);
}

/** Stores the same session with a fresh token, for all windows that share it. */
export function renewSession(session: Session): void {
  save(session);
  post({ type: 'renewed', session });
}

/** The session as the storage has it, which may have ended meanwhile in another window. */
export function checkedSession(): Session | null {
  if (current && hasEnded(current.id)) setCurrent(null);
  return current;
}

/** The session as all windows know it. */
export async function latestSession(): Promise<Session | null> {
  reload();
  const before = current;
  // A session that is not remembered is in no shared storage: ask the other windows.
  if (before && channel) {
    post({ type: 'asked', id: before.id, token: before.token });
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        listeners.delete(done);
        resolve();
      };
      const timer = setTimeout(done, answerTimeout);
      listeners.add(done);
    });
  }
  return current;
}

/** Whether this device is the user's own: what it keeps of them may stay after the window is closed. */
export const isRemembered = (): boolean => current?.rememberMe === true;

/** The name in the user's own token. */
export function ownName(): string {
  const claims = current ? claimsOf(current.token) : {};
  return claims.preferred_username ?? claims.name ?? strings.conversation.unknown;
}

function save(session: Session): void {
  const remembered = loadRemembered();
  // Another user may have signed in since and be remembered: new windows are theirs.
  if (session.rememberMe && (!remembered || remembered.id === session.id || session.id !== current?.id)) saveRemembered(session);
  setCurrent(session);
}

function setCurrent(session: Session | null, reason: string | null = null): void {
  saveOwn(session);
  current = session;
  latestId = session?.id ?? latestId;
  signOutReason = reason;
  for (const listener of listeners) listener();
}

/** Takes over what other windows have done to the session, also where this window was asleep and missed the message. */
function reload(): void {
  if (!current) return;
  if (hasEnded(current.id)) setCurrent(null);
  else adopt(loadRemembered());
}

function adopt(other: Session | null): void {
  const next = newer(current, other);
  if (next && next !== current) setCurrent(next);
}

channel?.addEventListener('message', ({ data: message }: MessageEvent<SessionMessage>) => {
  // The storage event may have come first, which has no reason.
  if (message.type === 'ended') {
    if (message.id === latestId) setCurrent(null, message.reason ?? null);
    return;
  }

  if (!current) return;
  if (message.type === 'renewed') adopt(message.session);
  else if (message.id === current.id && message.token !== current.token) post({ type: 'renewed', session: current });
});
window.addEventListener('storage', reload);
window.addEventListener('pageshow', reload);
document.addEventListener('visibilitychange', reload);
