import { hasOlder, type ConversationState } from 'chat-client';
import { useEffect, useState } from 'react';
import type { ConversationView } from './conversation.js';
import { useChatClient, useChatState } from './provider.js';

/** Result of `useUnreadDivider`. */
export interface UnreadDivider {
  /** The number after which the unread messages begin; null if everything is read. */
  readonly after: number | null;
  /** Whether all messages after it are loaded, so that a list can scroll to it. */
  readonly isLoaded: boolean;
  /** Removes the divider, as when the user answers. */
  clear(): void;
}

const pageSize = 200;
/** At most so many unread messages are loaded; with more, the divider is at the oldest of these. */
const furthest = 5000;

interface Divider {
  readonly conversationId: string;
  readonly after: number | null;
  readonly isWatching: boolean;
}

/**
 * Where the unread messages begin: those that were there when the conversation was opened, or that arrived while the user was not
 * watching (window inactive, connection lost). Reading moves the user's cursor and leaves the divider in place. It is there in the
 * first render that has messages, so that a list can start at it, and loads the history back to it.
 */
export function useUnreadDivider(view: ConversationView, isPresent: boolean): UnreadDivider {
  const { conversation, hasOlder: mayHaveOlder, loadOlder } = view;
  const client = useChatClient();
  const me = useChatState((state) => state.me?.userId);
  const isCaughtUp = useChatState((state) => state.isCaughtUp);
  const isWatching = isPresent && isCaughtUp;
  const [divider, setDivider] = useState<Divider>();

  const own = conversation?.members.find((member) => member.userId === me);
  const isKnown = conversation !== undefined && own !== undefined && (conversation.messages.length > 0 || !mayHaveOlder);
  let current = divider;
  if (isKnown && (divider?.conversationId !== conversation.id || divider.isWatching !== isWatching)) {
    const isNew = divider?.conversationId !== conversation.id;
    const stays = !isNew && isWatching;
    const after = stays ? divider.after : isNew && isWatching && conversation.unread === 0 ? null : own.readUpTo;
    current = { conversationId: conversation.id, after, isWatching };
    // During render and not in an effect: by then the list would have scrolled already.
    setDivider(current);
  }

  const after = isKnown ? (current?.after ?? null) : null;
  const isLoaded = isKnown && (after === null || !isMissing(conversation, after));
  useEffect(() => {
    if (!isKnown || isLoaded || after === null) return;
    let isGone = false;
    const loadBack = async () => {
      for (;;) {
        const held = client.getState().conversations[conversation.id];
        if (isGone || !held || !isMissing(held, after)) return;
        await loadOlder(pageSize);
      }
    };
    // A failure is in the state, and ends the loop.
    loadBack().catch(() => undefined);
    return () => {
      isGone = true;
    };
  }, [client, isKnown, isLoaded, after, conversation?.id, loadOlder]);

  return { after, isLoaded, clear: () => setDivider(current && { ...current, after: null }) };
}

/** Whether there are unread messages before those that are loaded. */
function isMissing(conversation: ConversationState, after: number): boolean {
  return (
    conversation.unread > 0 && conversation.loadedFrom > after + 1 && hasOlder(conversation) &&
    conversation.history !== 'failed' && conversation.messages.length < furthest
  );
}
