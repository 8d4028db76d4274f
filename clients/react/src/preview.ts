import { draftOf, deliveryStatusOf, peerOf, typistsOf, type ConversationState, type DeliveryStatus, type Member } from 'chat-client';
import { usePresence } from './presence.js';
import { useChatState } from './provider.js';

/** Result of `useConversationPreview`. */
export interface ConversationPreview {
  /** The other member of a direct conversation. */
  readonly peer: Member | undefined;
  /** Whether they are online; false without a connection, too. */
  readonly isOnline: boolean;
  /** Who is typing, as user ids. */
  readonly typists: readonly string[];
  /** The draft. */
  readonly draft: string;
  /** The latest message, including one that is being sent or has failed. */
  readonly text: string | undefined;
  readonly isOwn: boolean;
  /** The delivery status, if it is the user's own. */
  readonly status: DeliveryStatus | undefined;
  /** RFC 3339. */
  readonly at: string | undefined;
}

/** What a list shows of a conversation. Renders again only when that has changed. */
export function useConversationPreview(conversation: ConversationState): ConversationPreview {
  const { id, lastMessage } = conversation;
  const me = useChatState((state) => state.me?.userId);
  const isConnected = useChatState((state) => state.connection.status === 'online');
  const typists = useChatState((state) => typistsOf(state, id));
  const draft = useChatState((state) => draftOf(state, id));
  const waiting = useChatState((state) => state.outbox.findLast((entry) => entry.conversationId === id));
  const peer = peerOf(conversation, me);
  const isThere = usePresence(peer?.userId)?.online === true;
  const isOwn = waiting !== undefined || (lastMessage !== undefined && lastMessage.senderId === me);
  return {
    peer,
    isOnline: isThere && isConnected,
    typists,
    draft,
    text: waiting?.content ?? lastMessage?.content,
    isOwn,
    status: waiting ? waiting.status : isOwn && me !== undefined ? deliveryStatusOf(lastMessage!, conversation, me) : undefined,
    at: waiting?.createdAt ?? lastMessage?.sentAt,
  };
}
