import type { UserStatus } from 'chat-client';
import { useChatState } from './provider.js';

/** Whether somebody is there, and since when not. Undefined: not known (yet), or nobody one shares a conversation with. */
export function usePresence(userId: string | undefined): UserStatus | undefined {
  return useChatState((state) => (userId === undefined ? undefined : state.presence[userId]));
}
