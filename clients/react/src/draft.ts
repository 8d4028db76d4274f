import { draftOf, unsentOf, type OutboxEntry } from 'chat-client';
import { useCallback } from 'react';
import { useChatClient, useChatState } from './provider.js';

/** The draft of a conversation: it survives reloads and sign-ins, and is shared by all tabs. */
export function useDraft(conversationId: string): readonly [draft: string, setDraft: (content: string) => void] {
  const client = useChatClient();
  const draft = useChatState((state) => draftOf(state, conversationId));
  const setDraft = useCallback((content: string) => client.setDraft(conversationId, content), [client, conversationId]);
  return [draft, setDraft];
}

/** Unsent messages of all conversations: what a sign-out would discard. */
export function useUnsent(): readonly OutboxEntry[] {
  return useChatState(unsentOf);
}
