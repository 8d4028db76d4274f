import { useRef } from 'react';
import { useChatState } from './provider.js';

/** The server accepts no token of this kind. */
const notAuthorised = 4501;

/**
 * Whether only a new sign-in helps, and why: `ended` where the old one was good once, `refused` where it never was, `revoked` where
 * the user was signed out on all devices. Undefined as long as there is no need.
 */
export function useSignInNeed(): 'ended' | 'refused' | 'revoked' | undefined {
  const { status, problem, closeCode } = useChatState((state) => state.connection);
  const wasOnline = useRef(false);
  if (status === 'online') wasOnline.current = true;
  if (status !== 'rejected' || (closeCode !== notAuthorised && problem !== 'SIGN_IN_REQUIRED')) return undefined;
  if (problem === 'REVOKED') return 'revoked';
  return wasOnline.current || problem !== 'TOKEN_INVALID' ? 'ended' : 'refused';
}
