import type { UserStatus } from 'chat-client';
import { useChatState } from './provider.js';

/** Whether a user is online, and if not, when they were last seen. Undefined if not known yet, or without a shared conversation. */
export function usePresence(userId: string | undefined): UserStatus | undefined {
  return useChatState((state) => (userId === undefined ? undefined : state.presence[userId]));
}
