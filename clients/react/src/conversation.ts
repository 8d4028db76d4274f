import {
  ChatError, hasOlder, peerOf, timelineOf, typistsOf, type ConversationState, type Member, type TimelineItem,
} from 'chat-client';
import { useEffect, useMemo, useState } from 'react';
import { useChatClient, useChatState } from './provider.js';

/** Result of `useConversation`. */
export interface ConversationView {
  /** Undefined until it is loaded. */
  readonly conversation: ConversationState | undefined;
  /** Messages, followed by those being sent. */
  readonly items: readonly TimelineItem[];
  /** Who is typing, as user ids. */
  readonly typists: readonly string[];
  /** The other member of a direct conversation. */
  readonly peer: Member | undefined;
  /** Whether the user has blocked the peer. */
  readonly isBlocked: boolean;
  readonly hasOlder: boolean;
  readonly isLoadingOlder: boolean;
  /** Why the conversation could not be loaded: NOT_FOUND if it does not exist or is not the user's. */
  readonly error: ChatError | undefined;
  /** Sends a message and returns its tempId. */
  send(content: string): string;
  retry(tempId: string): void;
  /** Discards an unsent message, failed or waiting. */
  discard(tempId: string): void;
  loadOlder(limit?: number): Promise<void>;
  markRead(upTo?: number): void;
  /** Call it at each keystroke. */
  typing(): void;
  stopTyping(): void;
}

/** One conversation with its messages; loads what is missing. */
export function useConversation(conversationId: string): ConversationView {
  const client = useChatClient();
  const conversation = useChatState((state) => state.conversations[conversationId]);
  const items = useChatState((state) => timelineOf(state, conversationId));
  const typists = useChatState((state) => typistsOf(state, conversationId));
  const me = useChatState((state) => state.me?.userId);
  const blocks = useChatState((state) => state.blocks);
  const epoch = useChatState((state) => state.epoch);
  const [failure, setFailure] = useState<{ conversationId: string; error: ChatError }>();

  // Load again after a new epoch of the database, which resets the state, and after the conversation has left the state.
  const isKnown = conversation !== undefined;
  useEffect(() => {
    let isGone = false;
    setFailure(undefined);
    client.load(conversationId).catch((error: unknown) => {
      const known = error instanceof ChatError ? error : new ChatError('INTERNAL_ERROR', String(error));
      if (!isGone) setFailure({ conversationId, error: known });
    });
    return () => {
      isGone = true;
    };
  }, [client, conversationId, epoch, isKnown]);

  // Keep all loaded messages while they are shown.
  useEffect(() => client.retain(conversationId), [client, conversationId]);

  const actions = useMemo(
    () => ({
      send: (content: string) => client.send(conversationId, content),
      retry: (tempId: string) => client.retry(tempId),
      discard: (tempId: string) => client.discard(tempId),
      loadOlder: (limit?: number) => client.loadOlder(conversationId, limit),
      markRead: (upTo?: number) => client.markRead(conversationId, upTo),
      typing: () => client.typing(conversationId),
      stopTyping: () => client.stopTyping(conversationId),
    }),
    [client, conversationId],
  );

  const peer = conversation && peerOf(conversation, me);
  return {
    conversation,
    items,
    typists,
    peer,
    isBlocked: peer !== undefined && blocks[peer.userId] !== undefined,
    hasOlder: conversation !== undefined && hasOlder(conversation),
    isLoadingOlder: conversation?.history === 'loading',
    error: failure?.conversationId === conversationId ? failure.error : undefined,
    ...actions,
  };
}
