import { conversationsLike, type ConversationState } from 'chat-client';
import { useChatState } from './provider.js';

/** What `useConversations` gives. */
export interface ConversationList {
  /** Latest activity first. */
  readonly conversations: readonly ConversationState[];
  /** Some are still on their way. */
  readonly isLoading: boolean;
}

/** The list of conversations, kept up to date; with a filter those with people in whose names it is. */
export function useConversations(filter = ''): ConversationList {
  return {
    conversations: useChatState((state) => conversationsLike(state, filter)),
    isLoading: useChatState((state) => !state.listed),
  };
}
