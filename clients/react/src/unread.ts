import { hasOlder, type ConversationState } from 'chat-client';
import { useEffect, useState } from 'react';
import type { ConversationView } from './conversation.js';
import { useChatClient, useChatState } from './provider.js';

/** What `useUnreadDivider` gives. */
export interface UnreadDivider {
  /** The number after which the first unread message stands; null where all is read. */
  readonly after: number | null;
  /** Whether all messages behind it are loaded, so that a list can be placed at it. */
  readonly isLoaded: boolean;
  /** Takes the divider away: the user has answered. */
  clear(): void;
}

const pageSize = 200;
/** So many unread messages are loaded back to the first; with more the oldest of these stands for it. */
const furthest = 5000;

interface Divider {
  readonly conversationId: string;
  readonly after: number | null;
  readonly isWatching: boolean;
}

/**
 * Where the unread messages begin: those that were there when one came, or that came while one was not watching (the
 * window in the background, the connection lost). Reading on moves the user's cursor and leaves the divider in place.
 * It is there at the first drawing that has messages, so that a list can begin at it, and loads the history back to it.
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
    // While drawing, and not in an effect: behind one the list would have been placed already.
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
    // A failure is in the state, and ends the wait.
    loadBack().catch(() => undefined);
    return () => {
      isGone = true;
    };
  }, [client, isKnown, isLoaded, after, conversation?.id, loadOlder]);

  return { after, isLoaded, clear: () => setDivider(current && { ...current, after: null }) };
}

/** Whether there are unread messages in front of those that are loaded. */
function isMissing(conversation: ConversationState, after: number): boolean {
  return (
    conversation.unread > 0 && conversation.loadedFrom > after + 1 && hasOlder(conversation) &&
    conversation.history !== 'failed' && conversation.messages.length < furthest
  );
}
