import { applySync, merge, resetTo, applyMessage, prependPage, trim } from './conversation.js';
import { byAge } from './outbox.js';
import { shallowEqual } from './shallowEqual.js';
import {
  initialState, type ChatState, type ConnectionState, type ConversationState, type Draft, type Me, type OutboxEntry,
} from './state.js';
import type { BlockAdded, Conversation, ErrorCode, Message, MessagePage, ServerEvent, SyncConversation, UserStatus } from './wire.js';

/** Everything that can change the state. `since` is the state's `clock` at the time of the request. */
export type Action =
  | { readonly type: 'connection'; readonly connection: ConnectionState }
  /** The user is known, but not signed in yet. */
  | { readonly type: 'identified'; readonly userId: string }
  | { readonly type: 'signedIn'; readonly me: Me; readonly epoch: string }
  | { readonly type: 'event'; readonly event: ServerEvent; readonly now: number }
  /** A part of the answer to a sync from the number `after`. */
  | { readonly type: 'synced'; readonly after: number; readonly part: SyncConversation; readonly since: number }
  /** Conversations as the server has them. */
  | { readonly type: 'listed'; readonly conversations: readonly Conversation[]; readonly isLast: boolean; readonly since: number }
  /** A conversation was reloaded with its latest messages, because the gap was too long. */
  | { readonly type: 'replaced'; readonly conversation: Conversation; readonly page: MessagePage; readonly since: number }
  /** Messages before the number `before`. */
  | { readonly type: 'history'; readonly conversationId: string; readonly before: number; readonly page: MessagePage }
  | { readonly type: 'loading'; readonly conversationId: string; readonly history: ConversationState['history'] }
  /** Everything that was missed before this connection is in the state. */
  | { readonly type: 'caughtUp' }
  /** Older messages are dropped from memory. */
  | { readonly type: 'trimmed'; readonly conversationId: string; readonly keep: number }
  | { readonly type: 'blocks'; readonly blocks: readonly BlockAdded[] }
  /** Presence of users for whom it is not known yet. */
  | { readonly type: 'presence'; readonly users: readonly UserStatus[] }
  /** The contents of the storage, and what has gone from it because another tab has sent or discarded it. */
  | { readonly type: 'restored'; readonly entries: readonly OutboxEntry[]; readonly gone?: readonly string[] }
  /** The cached conversations. */
  | { readonly type: 'recalled'; readonly epoch: string; readonly conversations: readonly ConversationState[] }
  /** It no longer exists, or is no longer the user's. */
  | { readonly type: 'gone'; readonly conversationId: string }
  | { readonly type: 'storage'; readonly isWorking: boolean }
  | { readonly type: 'queued'; readonly entry: OutboxEntry }
  | { readonly type: 'failed'; readonly tempId: string; readonly error: ErrorCode }
  /** It could not be sent this time, and will be retried. */
  | { readonly type: 'delayed'; readonly tempId: string; readonly error: ErrorCode }
  | { readonly type: 'retried'; readonly tempId: string }
  | { readonly type: 'discarded'; readonly tempId: string }
  /** All drafts of the user; below, the one of a conversation. */
  | { readonly type: 'drafts'; readonly drafts: Readonly<Record<string, Draft>> }
  | { readonly type: 'draft'; readonly conversationId: string; readonly draft: Draft | undefined }
  | { readonly type: 'signedOut' }
  /** Typing indicators from before this moment expire. */
  | { readonly type: 'typingExpired'; readonly before: number };

/**
 * The next state. Pure. Events may arrive in any order, more than once, or not at all: their numbers tell what is new and where a gap
 * is, and a sync fills gaps. In the end the state is the same as after a fresh load.
 */
export function reduce(state: ChatState, action: Action): ChatState {
  switch (action.type) {
    case 'connection':
      if (action.connection.status === 'online') return { ...state, connection: action.connection };
      // Without a connection, nothing would end the typing indicators.
      return { ...state, connection: action.connection, isCaughtUp: false, typing: empty(state.typing) };
    case 'caughtUp':
      return state.isCaughtUp ? state : { ...state, isCaughtUp: true };
    case 'identified':
      if (state.me?.userId === action.userId) return state;
      return { ...initialState, connection: state.connection, clock: state.clock, me: { userId: action.userId } };
    case 'signedIn':
      return signedIn(state, action.me, action.epoch);
    case 'event':
      return applyEvent(state, action.event, action.now);
    case 'synced': {
      const { conversation, messages, hasMore } = action.part;
      // It has no message: the list, which comes before any sync, has it for whoever may see it.
      if (!state.conversations[conversation.id] && conversation.seq === 0) return state;
      // New, and complete: there is no history left to load.
      if (!state.conversations[conversation.id] && action.after === 0 && !hasMore)
        state = putConversation(state, { ...created(conversation), position: 0, loadedFrom: 1 });
      state = upsertConversation(state, conversation, action.since);
      return removeAcknowledged(changeConversation(state, conversation.id, (known) => applySync(known, action.after, messages)), messages);
    }
    case 'listed': {
      for (const conversation of action.conversations) state = upsertConversation(state, conversation, action.since);
      return action.isLast && !state.listed ? { ...state, listed: true } : state;
    }
    case 'recalled': {
      // What came from the server is newer than the cache.
      if (state.listed || (state.epoch !== null && state.epoch !== action.epoch)) return state;
      for (const conversation of action.conversations)
        if (!state.conversations[conversation.id])
          state = putConversation(state, { ...conversation, outOfOrder: [], history: 'idle', unreadTold: 0 });
      return state.epoch === null ? { ...state, epoch: action.epoch } : state;
    }
    case 'gone':
      return { ...state, conversations: without(state.conversations, action.conversationId) };
    case 'replaced': {
      const { conversation, page } = action;
      state = upsertConversation(state, conversation, action.since);
      state = changeConversation(state, conversation.id, (known) => resetTo(known, conversation.seq, page));
      return removeAcknowledged(state, page.messages);
    }
    case 'history':
      state = changeConversation(state, action.conversationId, (known) => prependPage(known, action.before, action.page));
      return removeAcknowledged(state, action.page.messages);
    case 'loading':
      return changeConversation(state, action.conversationId, (known) =>
        known.history === action.history ? known : { ...known, history: action.history },
      );
    case 'trimmed':
      return changeConversation(state, action.conversationId, (known) => trim(known, action.keep));
    case 'blocks': {
      const blocks = Object.fromEntries(action.blocks.map((block) => [block.userId, block.blockedAt]));
      return shallowEqual(state.blocks, blocks) ? state : { ...state, blocks };
    }
    case 'presence': {
      const news = action.users.filter((user) => !state.presence[user.userId]);
      if (news.length === 0) return state;
      return { ...state, presence: { ...state.presence, ...Object.fromEntries(news.map((user) => [user.userId, user])) } };
    }
    case 'restored': {
      const stored = new Map(action.entries.filter((entry) => !isAcknowledged(state, entry)).map((entry) => [entry.tempId, entry]));
      const gone = new Set(action.gone);
      const held = state.outbox
        .filter((entry) => !gone.has(entry.tempId))
        // In another tab it may have failed, or be retried.
        .map((entry) => (stored.get(entry.tempId)?.status ?? entry.status) === entry.status ? entry : stored.get(entry.tempId)!);
      const known = new Set(held.map((entry) => entry.tempId));
      const outbox = [...held, ...[...stored.values()].filter((entry) => !known.has(entry.tempId))].sort(byAge);
      return shallowEqual(outbox, state.outbox) ? state : { ...state, outbox };
    }
    case 'storage':
      return state.isOutboxStored === action.isWorking ? state : { ...state, isOutboxStored: action.isWorking };
    case 'queued':
      return { ...state, outbox: [...state.outbox, action.entry] };
    case 'failed':
      return changeEntry(state, action.tempId, (entry) => ({ ...entry, status: 'failed', error: action.error }));
    case 'delayed':
      return changeEntry(state, action.tempId, (entry) => (entry.error === action.error ? entry : { ...entry, error: action.error }));
    case 'retried':
      return changeEntry(state, action.tempId, ({ error: _, ...entry }) => ({ ...entry, status: 'sending' }));
    case 'discarded':
      return state.outbox.some((entry) => entry.tempId === action.tempId)
        ? { ...state, outbox: state.outbox.filter((entry) => entry.tempId !== action.tempId) }
        : state;
    case 'drafts':
      return { ...state, drafts: action.drafts };
    case 'draft': {
      const { conversationId, draft } = action;
      if (shallowEqual(state.drafts[conversationId], draft)) return state;
      return { ...state, drafts: draft ? { ...state.drafts, [conversationId]: draft } : without(state.drafts, conversationId) };
    }
    case 'signedOut':
      return { ...initialState, connection: state.connection, clock: state.clock };
    case 'typingExpired': {
      for (const [conversationId, typists] of Object.entries(state.typing))
        for (const [userId, startedAt] of Object.entries(typists))
          if (startedAt < action.before) state = stopTyping(state, conversationId, userId);
      return state;
    }
  }
}

/** Conversations in which changes are missing. */
export function conversationsWithGaps(state: ChatState): readonly ConversationState[] {
  return Object.values(state.conversations).filter((conversation) => conversation.seq > conversation.position);
}

function signedIn(state: ChatState, me: Me, epoch: string): ChatState {
  const { connection, clock } = state;
  if (state.me && state.me.userId !== me.userId) return { ...initialState, connection, clock, me, epoch };
  // Another epoch of the database: its numbers mean something else. Unsent messages are still to be sent.
  if (state.epoch !== null && state.epoch !== epoch)
    return { ...initialState, connection, clock, me, epoch, outbox: state.outbox, drafts: state.drafts };
  // Pending events of the previous connection are older than what is about to be loaded.
  return { ...state, me, epoch, presenceHasMore: false, typing: empty(state.typing), pendingEvents: empty(state.pendingEvents) };
}

function applyEvent(state: ChatState, event: ServerEvent, now: number): ChatState {
  switch (event.type) {
    case 'message.sent':
    case 'message.new': {
      const { message } = event.payload;
      state = stopTyping(removeAcknowledged(state, [message]), message.conversationId, message.senderId);
      return updateConversation(state, message.conversationId, event, (known) => applyMessage(known, message));
    }
    case 'conversation.updated': {
      const { conversationId, lastMessage, seq } = event.payload;
      // It lacks the tempId of the user's own message, which comes with the message itself.
      const isWhole = lastMessage?.changedSeq === seq && lastMessage.senderId !== state.me?.userId;
      return updateConversation(state, conversationId, event, (known) =>
        isWhole ? applyMessage(known, lastMessage) : merge(known, { seq }),
      );
    }
    case 'notification.unread': {
      const { conversationId, unread } = event.payload;
      return updateConversation(state, conversationId, event, (known, clock) => ({ ...known, unread, unreadTold: clock }));
    }
    case 'message.read_ack': {
      const { conversationId, upTo, unread } = event.payload;
      const me = state.me?.userId ?? '';
      return updateConversation(state, conversationId, event, (known, clock) => ({
        ...merge(known, { cursors: [{ userId: me, readUpTo: upTo, deliveredUpTo: upTo }] }),
        unread,
        unreadTold: clock,
      }));
    }
    case 'message.read_update': {
      const { conversationId, upTo, readBy } = event.payload;
      return updateConversation(state, conversationId, event, (known) =>
        merge(known, { cursors: [{ userId: readBy, readUpTo: upTo, deliveredUpTo: upTo }] }),
      );
    }
    case 'message.delivered_update': {
      const { conversationId, upTo, userId } = event.payload;
      return updateConversation(state, conversationId, event, (known) =>
        merge(known, { cursors: [{ userId, readUpTo: 0, deliveredUpTo: upTo }] }),
      );
    }
    case 'status.bulk': {
      const part = Object.fromEntries(
        event.payload.users.map((user) => {
          const known = state.presence[user.userId];
          return [user.userId, known && shallowEqual(known, user) ? known : user];
        }),
      );
      const presence = state.presenceHasMore ? { ...state.presence, ...part } : part;
      return { ...state, presence, presenceHasMore: event.payload.more === true };
    }
    case 'user.online':
      return setPresence(state, { userId: event.payload.userId, online: true });
    case 'user.offline':
      return setPresence(state, { userId: event.payload.userId, online: false, lastSeenAt: event.payload.lastSeenAt });
    case 'typing.update': {
      const { conversationId, userId, typing } = event.payload;
      if (!typing) return stopTyping(state, conversationId, userId);
      return state.conversations[conversationId]
        ? { ...state, typing: { ...state.typing, [conversationId]: { ...state.typing[conversationId], [userId]: now } } }
        : state;
    }
    case 'block.added':
      return { ...state, clock: state.clock + 1, blocks: { ...state.blocks, [event.payload.userId]: event.payload.blockedAt } };
    case 'block.removed':
      return { ...state, clock: state.clock + 1, blocks: without(state.blocks, event.payload.userId) };
    default:
      // Answers to requests, and events of a later version.
      return state;
  }
}

/** Applies an event to its conversation, or queues it until the conversation is known. */
function updateConversation(
  state: ChatState, conversationId: string, event: ServerEvent, apply: (known: ConversationState, clock: number) => ConversationState,
): ChatState {
  const clock = state.clock + 1;
  const known = state.conversations[conversationId];
  if (known) return { ...putConversation(state, apply(known, clock)), clock };
  const pending = [...(state.pendingEvents[conversationId] ?? []), event];
  return { ...state, clock, pendingEvents: { ...state.pendingEvents, [conversationId]: pending } };
}

/** Adds or updates a conversation as the server has it. */
function upsertConversation(state: ChatState, view: Conversation, since: number): ChatState {
  const known = state.conversations[view.id];
  if (known) {
    const unread = known.unreadTold > since ? known.unread : view.unread;
    state = changeConversation(state, view.id, (before) => merge(before, { ...view, unread, cursors: view.members }));
  } else {
    state = putConversation(state, created(view));
  }

  if (view.lastMessage) state = removeAcknowledged(state, [view.lastMessage]);
  const strays = state.pendingEvents[view.id];
  if (!strays) return state;
  state = { ...state, pendingEvents: without(state.pendingEvents, view.id) };
  return strays.reduce((next, event) => applyEvent(next, event, 0), state);
}

const created = (view: Conversation): ConversationState => ({
  ...view,
  messages: [],
  loadedFrom: view.seq + 1,
  position: view.seq,
  outOfOrder: [],
  history: 'idle',
  unreadTold: 0,
});

/** Removes from the outbox what these messages acknowledge. */
function removeAcknowledged(state: ChatState, messages: readonly Message[]): ChatState {
  if (state.outbox.length === 0) return state;
  const outbox = state.outbox.filter((entry) => !messages.some((message) => isAnswerTo(message, entry)));
  return outbox.length === state.outbox.length ? state : { ...state, outbox };
}

const isAnswerTo = (message: Message, entry: OutboxEntry) =>
  message.tempId === entry.tempId && message.senderId === entry.userId && message.conversationId === entry.conversationId;

const isAcknowledged = (state: ChatState, entry: OutboxEntry) =>
  state.conversations[entry.conversationId]?.messages.some((message) => isAnswerTo(message, entry)) ?? false;

function putConversation(state: ChatState, conversation: ConversationState): ChatState {
  return state.conversations[conversation.id] === conversation
    ? state
    : { ...state, conversations: { ...state.conversations, [conversation.id]: conversation } };
}

function changeConversation(state: ChatState, conversationId: string, apply: (known: ConversationState) => ConversationState): ChatState {
  const known = state.conversations[conversationId];
  return known ? putConversation(state, apply(known)) : state;
}

function changeEntry(state: ChatState, tempId: string, apply: (entry: OutboxEntry) => OutboxEntry): ChatState {
  const outbox = state.outbox.map((entry) => (entry.tempId === tempId ? apply(entry) : entry));
  return outbox.every((entry, at) => entry === state.outbox[at]) ? state : { ...state, outbox };
}

function setPresence(state: ChatState, status: UserStatus): ChatState {
  if (shallowEqual(state.presence[status.userId], status)) return state;
  return { ...state, presence: { ...state.presence, [status.userId]: status } };
}

function stopTyping(state: ChatState, conversationId: string, userId: string): ChatState {
  const typists = state.typing[conversationId];
  if (typists?.[userId] === undefined) return state;
  const rest = without(typists, userId);
  return {
    ...state,
    typing: Object.keys(rest).length === 0 ? without(state.typing, conversationId) : { ...state.typing, [conversationId]: rest },
  };
}

function without<Value>(record: Readonly<Record<string, Value>>, key: string): Readonly<Record<string, Value>> {
  if (!(key in record)) return record;
  const { [key]: _, ...rest } = record;
  return rest;
}

const empty = <Value>(record: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> =>
  Object.keys(record).length === 0 ? record : {};
