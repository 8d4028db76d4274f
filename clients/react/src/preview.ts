import { draftOf, deliveryStatusOf, peerOf, typistsOf, type ConversationState, type DeliveryStatus, type Member } from 'chat-client';
import { usePresence } from './presence.js';
import { useChatState } from './provider.js';

/** What `useConversationPreview` gives. */
export interface ConversationPreview {
  /** The other one of a direct conversation. */
  readonly peer: Member | undefined;
  /** Whether they are there; false as well where nobody knows, for want of a connection. */
  readonly isOnline: boolean;
  /** Who is writing, as user ids. */
  readonly typists: readonly string[];
  /** What is written here and not sent. */
  readonly draft: string;
  /** The latest message, also one that is still on its way or has failed. */
  readonly text: string | undefined;
  readonly isOwn: boolean;
  /** How far an own one has come. */
  readonly status: DeliveryStatus | undefined;
  /** RFC 3339. */
  readonly at: string | undefined;
}

/** What a list shows of a conversation. Draws again only when that is something else. */
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
