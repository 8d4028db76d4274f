import { webStorage, type TokenSession } from 'chat-client';

/** How a user has signed in, and how to get a fresh token. */
export interface SignedIn {
  readonly token: string;
  /** A username in Development: the server issues another token for it on request. */
  readonly devName?: string;
  readonly refreshToken?: string;
  /** Whether new windows and the next start of the browser are signed in, too. */
  readonly rememberMe: boolean;
}

/** A sign-in, shared by all windows that came from it. */
export interface Session extends SignedIn, TokenSession {
  readonly id: string;
}

/** Of the session in the storage, and of the channel and the lock that go with it. */
export const sessionKey = 'chat.session';
const endedKey = 'chat.ended';
const maxEnded = 20;
const local = webStorage('localStorage');
const ownWindow = webStorage('sessionStorage');

/** The session of this window. */
export const loadOwn = (): Session | null => parse(ownWindow.get(sessionKey));

export function saveOwn(session: Session | null): void {
  if (session) ownWindow.set(sessionKey, JSON.stringify(session));
  else ownWindow.remove(sessionKey);
}

/** The session that new windows start with. */
export const loadRemembered = (): Session | null => parse(local.get(sessionKey));

export const saveRemembered = (session: Session): void => void local.set(sessionKey, JSON.stringify(session));

/** Records that a session has ended, also for windows that are asleep and miss the message. */
export function markEnded(id: string): void {
  local.set(endedKey, JSON.stringify([...endedIds().filter((other) => other !== id), id].slice(-maxEnded)));
  if (loadRemembered()?.id === id) local.remove(sessionKey);
}

export const hasEnded = (id: string): boolean => endedIds().includes(id);

/** The later of two states of one session; the first if they are two sessions. */
export const newer = (session: Session | null, other: Session | null): Session | null =>
  session && other?.id === session.id && other.receivedAt > session.receivedAt ? other : session;

function endedIds(): readonly string[] {
  try {
    const ids: unknown = JSON.parse(local.get(endedKey) ?? '[]');
    return Array.isArray(ids) ? ids.filter((id) => typeof id === 'string') : [];
  } catch {
    return [];
  }
}

/** Anything may be in the storage: what another script wrote, or an earlier version of the page, which called `rememberMe` `keep`. */
function parse(value: string | null): Session | null {
  try {
    const session = JSON.parse(value ?? 'null') as (Partial<Session> & { readonly keep?: unknown }) | null;
    if (typeof session?.token !== 'string') return null;
    const { keep, token, id = token, receivedAt = 0, rememberMe = keep, ...rest } = session;
    return { ...rest, token, id, receivedAt, rememberMe: rememberMe === true };
  } catch {
    return null;
  }
}
