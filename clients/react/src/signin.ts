import { useRef } from 'react';
import { useChatState } from './provider.js';

/** Close code: the token is not accepted. */
const notAuthorised = 4501;

/**
 * Whether the user has to sign in again, and why: `ended` if the sign-in has expired, `refused` if it was never accepted, `revoked` if
 * the user was signed out on all devices. Undefined while there is no need.
 */
export function useSignInNeed(): 'ended' | 'refused' | 'revoked' | undefined {
  const { status, problem, closeCode } = useChatState((state) => state.connection);
  const wasOnline = useRef(false);
  if (status === 'online') wasOnline.current = true;
  if (status !== 'rejected' || (closeCode !== notAuthorised && problem !== 'SIGN_IN_REQUIRED')) return undefined;
  if (problem === 'REVOKED') return 'revoked';
  return wasOnline.current || problem !== 'TOKEN_INVALID' ? 'ended' : 'refused';
}
