import { conversationsOf, type ConversationState } from 'chat-client';
import { useChatState } from './provider.js';

/** What `useConversations` gives. */
export interface ConversationList {
  /** Latest activity first. */
  readonly conversations: readonly ConversationState[];
  /** Some are still on their way. */
  readonly isLoading: boolean;
}

/** The list of conversations, kept up to date. */
export function useConversations(): ConversationList {
  return {
    conversations: useChatState(conversationsOf),
    isLoading: useChatState((state) => !state.listed),
  };
}
