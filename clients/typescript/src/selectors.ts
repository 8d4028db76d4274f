import type { ChatState, ConversationState, OutboxEntry } from './state.js';
import type { ErrorCode, Member, Message } from './wire.js';

/** The delivery status of the user's own message. */
export type DeliveryStatus = 'sending' | 'sent' | 'delivered' | 'read' | 'failed';

/** One line of a conversation: a message, or one that is being sent. */
export interface TimelineItem {
  /** Stays the same from `send` on, whatever the status: a key for lists. */
  readonly key: string;
  readonly senderId: string;
  readonly isOwn: boolean;
  /** Plain text. */
  readonly content: string;
  /** RFC 3339. */
  readonly at: string;
  /** Only for the user's own messages. */
  readonly status?: DeliveryStatus;
  /** The server's message; absent until it is acknowledged. */
  readonly message?: Message;
  /** For `retry` and `discard`. */
  readonly tempId?: string;
  /** Why it failed. */
  readonly error?: ErrorCode;
}

const none: readonly never[] = [];

/** Memoizes by identity: the same input gives the same object, so that nothing is rendered twice. */
function memo<Input extends object, Result>(compute: (input: Input) => Result): (input: Input) => Result {
  const known = new WeakMap<Input, Result>();
  return (input) => {
    let result = known.get(input);
    if (result === undefined) {
      result = compute(input);
      known.set(input, result);
    }
    return result;
  };
}

const sorted = memo((conversations: ChatState['conversations']): readonly ConversationState[] =>
  Object.values(conversations).sort((a, b) =>
    a.updatedAt === b.updatedAt ? (a.id < b.id ? 1 : -1) : a.updatedAt < b.updatedAt ? 1 : -1,
  ),
);

const summed = memo((conversations: ChatState['conversations']): number =>
  Object.values(conversations).reduce((total, conversation) => total + conversation.unread, 0),
);

/** All conversations, latest activity first. */
export const conversationsOf = (state: ChatState): readonly ConversationState[] => sorted(state.conversations);

/** Conversations with people whose name contains the text, ignoring case; all of them if it is blank. */
export function conversationsLike(state: ChatState, text: string): readonly ConversationState[] {
  const wanted = text.trim().toLocaleLowerCase();
  const all = conversationsOf(state);
  if (wanted === '') return all;
  const me = state.me?.userId;
  return all.filter(({ members }) =>
    members.some(
      ({ userId, name, username }) => userId !== me && [name, username].some((known) => known?.toLocaleLowerCase().includes(wanted)),
    ),
  );
}

/** Unread messages over all conversations. */
export const totalUnreadOf = (state: ChatState): number => summed(state.conversations);

/** Unsent messages, oldest first, waiting or failed. Ask before a sign-out discards them. */
export const unsentOf = (state: ChatState): readonly OutboxEntry[] => state.outbox;

/** The draft of a conversation. */
export const draftOf = (state: ChatState, conversationId: string): string => state.drafts[conversationId]?.content ?? '';

/** The other member of a direct conversation. */
export const peerOf = (conversation: ConversationState, me: string | undefined): Member | undefined =>
  conversation.kind === 'direct' ? conversation.members.find((member) => member.userId !== me) : undefined;

/** Who is typing in a conversation, as user ids. */
export function typistsOf(state: ChatState, conversationId: string): readonly string[] {
  const typing = state.typing[conversationId];
  return typing ? typists(typing) : none;
}

const typists = memo((typing: Readonly<Record<string, number>>): readonly string[] => Object.keys(typing));

/** Whether there are older messages than those in the state. */
export const hasOlder = (conversation: ConversationState): boolean => conversation.loadedFrom > 1;

/** The delivery status of the user's own message: the least that holds for all other members. */
export function deliveryStatusOf(message: Message, conversation: ConversationState, me: string): DeliveryStatus {
  let status: DeliveryStatus = 'read';
  for (const member of conversation.members) {
    if (member.userId === me || member.readUpTo >= message.seq) continue;
    if (member.deliveredUpTo < message.seq) return 'sent';
    status = 'delivered';
  }
  return status;
}

/** The messages of a conversation, followed by those being sent, in display order. */
export function timelineOf(state: ChatState, conversationId: string): readonly TimelineItem[] {
  const conversation = state.conversations[conversationId];
  const me = state.me?.userId ?? '';
  if (!conversation) return pendingOf(state.outbox, conversationId);
  const known = timelines.get(conversation);
  if (known && known.outbox === state.outbox && known.me === me) return known.items;
  const pending = pendingOf(state.outbox, conversationId);
  // Only another conversation's entries have changed.
  const items =
    known && known.me === me && known.pending === pending
      ? known.items
      : [...conversation.messages.map((message) => shown(message, conversation, me)), ...pending];
  timelines.set(conversation, { outbox: state.outbox, me, pending, items });
  return items;
}

interface Timeline {
  readonly outbox: ChatState['outbox'];
  readonly me: string;
  readonly pending: readonly TimelineItem[];
  readonly items: readonly TimelineItem[];
}

const timelines = new WeakMap<ConversationState, Timeline>();
const shownMessages = new WeakMap<Message, TimelineItem>();

function shown(message: Message, conversation: ConversationState, me: string): TimelineItem {
  const isOwn = message.senderId === me;
  const status = isOwn ? deliveryStatusOf(message, conversation, me) : undefined;
  const known = shownMessages.get(message);
  if (known && known.status === status && known.isOwn === isOwn) return known;
  const item: TimelineItem = {
    key: message.tempId ?? message.id,
    senderId: message.senderId,
    isOwn,
    content: message.content,
    at: message.sentAt,
    message,
    ...(status && { status }),
    ...(message.tempId !== undefined && { tempId: message.tempId }),
  };
  shownMessages.set(message, item);
  return item;
}

const pendingItem = memo(
  (entry: OutboxEntry): TimelineItem => ({
    key: entry.tempId,
    senderId: entry.userId,
    isOwn: true,
    content: entry.content,
    at: entry.createdAt,
    status: entry.status,
    tempId: entry.tempId,
    ...(entry.error && { error: entry.error }),
  }),
);

const pendingByOutbox = memo((outbox: ChatState['outbox']) => {
  const byConversation = new Map<string, TimelineItem[]>();
  for (const entry of outbox) {
    const items = byConversation.get(entry.conversationId);
    if (items) items.push(pendingItem(entry));
    else byConversation.set(entry.conversationId, [pendingItem(entry)]);
  }
  return byConversation as ReadonlyMap<string, readonly TimelineItem[]>;
});

const pendingOf = (outbox: ChatState['outbox'], conversationId: string): readonly TimelineItem[] =>
  pendingByOutbox(outbox).get(conversationId) ?? none;
