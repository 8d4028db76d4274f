import { useSyncExternalStore } from 'react';
import { claimsOf } from './claims.ts';
import { currentSession, currentSignOutReason, subscribe } from './session.ts';

function userId(): string | null {
  const session = currentSession();
  return session && (claimsOf(session.token).sub ?? '').toLowerCase();
}

/** The id of the user who is signed in: it stays the same while tokens are renewed. */
export const useUserId = (): string | null => useSyncExternalStore(subscribe, userId);

/** Why the user has to sign in again. */
export const useSignOutReason = (): string | null => useSyncExternalStore(subscribe, currentSignOutReason);
