import { conversationsLike, type ConversationState } from 'chat-client';
import { useChatState } from './provider.js';

/** Result of `useConversations`. */
export interface ConversationList {
  /** Latest activity first. */
  readonly conversations: readonly ConversationState[];
  /** The list is not complete yet. */
  readonly isLoading: boolean;
}

/** The list of conversations, kept up to date; with a filter, those with people whose name contains it. */
export function useConversations(filter = ''): ConversationList {
  return {
    conversations: useChatState((state) => conversationsLike(state, filter)),
    isLoading: useChatState((state) => !state.listed),
  };
}
