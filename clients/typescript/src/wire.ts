/**
 * The wire format in TypeScript types; see docs/protocol.md. `test/wire.test.ts` compares this file with docs/asyncapi.yaml and
 * docs/openapi.json, field by field.
 *
 * Ids are UUIDs in lower case; times are RFC 3339 in UTC with milliseconds, so that they compare as strings.
 */

/** Why a request was rejected. A closed list; the connection stays open. */
export type ErrorCode =
  | 'INVALID_MESSAGE'
  | 'UNKNOWN_EVENT'
  | 'VALIDATION_ERROR'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'BLOCKED'
  | 'RATE_LIMITED'
  | 'LIMIT_REACHED'
  | 'UNAVAILABLE'
  | 'INTERNAL_ERROR';

/** A message in its latest state. */
export interface Message {
  readonly id: string;
  readonly conversationId: string;
  /** Its number in the conversation. */
  readonly seq: number;
  /** The number of its latest change. */
  readonly changedSeq: number;
  readonly senderId: string;
  readonly type: 'text';
  /** Plain text. Never HTML. */
  readonly content: string;
  readonly sentAt: string;
  /** Shown to its sender alone. */
  readonly tempId?: string;
}

/** A member of a conversation, with their cursors. */
export interface Member {
  readonly userId: string;
  readonly username?: string;
  readonly name?: string;
  readonly picture?: string;
  readonly readUpTo: number;
  readonly deliveredUpTo: number;
}

/** A conversation as the caller sees it. */
export interface Conversation {
  readonly id: string;
  readonly kind: 'direct' | 'group';
  readonly members: readonly Member[];
  /** The number of the latest change; 0 before the first. */
  readonly seq: number;
  readonly lastMessage?: Message;
  readonly updatedAt: string;
  readonly unread: number;
}

export interface UserStatus {
  readonly userId: string;
  readonly online: boolean;
  readonly lastSeenAt?: string;
}

export interface Heartbeat {
  readonly pingSeconds: number;
  readonly timeoutSeconds: number;
}

export interface ServerLimits {
  readonly maxFrameBytes: number;
  /** In Unicode scalar values, after trimming. */
  readonly maxContentLength: number;
  readonly messagesPerSecond: number;
  readonly sendQueue: number;
}

export interface AuthSuccess {
  readonly userId: string;
  readonly connectionId: string;
  readonly connectedAt: string;
  readonly epoch: string;
  readonly heartbeat: Heartbeat;
  readonly limits: ServerLimits;
}

export interface AuthFailed {
  readonly code: 'TOKEN_EXPIRED' | 'TOKEN_INVALID';
  readonly message: string;
}

export interface WireError {
  readonly code: ErrorCode;
  /** For developers. */
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly tempId?: string;
  readonly field?: string;
}

export interface MessageSent {
  /** Empty if the send had none. */
  readonly tempId: string;
  readonly message: Message;
}

export interface MessageNew {
  readonly message: Message;
}

export interface ConversationUpdated {
  readonly conversationId: string;
  readonly lastMessage: Message;
  readonly seq: number;
}

export interface NotificationUnread {
  readonly conversationId: string;
  readonly unread: number;
  readonly totalUnread: number;
}

export interface ReadAck {
  readonly conversationId: string;
  readonly markedCount: number;
  readonly upTo: number;
  readonly readAt: string;
  readonly unread: number;
  readonly totalUnread: number;
}

export interface ReadUpdate {
  readonly conversationId: string;
  readonly messageIds: readonly string[];
  readonly upTo: number;
  readonly readBy: string;
  readonly readAt: string;
}

export interface DeliveredUpdate {
  readonly conversationId: string;
  readonly upTo: number;
  readonly userId: string;
  readonly deliveredAt: string;
}

export interface BlockAdded {
  readonly userId: string;
  readonly username?: string;
  readonly blockedAt: string;
}

export interface BlockRemoved {
  readonly userId: string;
  readonly username?: string;
}

/** The latest contacts, in parts. */
export interface StatusBulk {
  readonly users: readonly UserStatus[];
  /** Another part follows; absent on the last one. */
  readonly more?: boolean;
}

export interface UserOnline {
  readonly userId: string;
  readonly onlineAt: string;
}

export interface UserOffline {
  readonly userId: string;
  readonly lastSeenAt: string;
}

export interface TypingUpdate {
  readonly conversationId: string;
  readonly userId: string;
  readonly typing: boolean;
}

export interface SyncConversation {
  readonly conversation: Conversation;
  /** Past the number that was asked with, ascending by `changedSeq`. */
  readonly messages: readonly Message[];
  /** Ask again from the last `changedSeq` received. */
  readonly hasMore: boolean;
}

export interface SyncDone {
  readonly conversations: number;
}

export interface Pong {
  /** As in the ping; the server's time in milliseconds since 1970 if that had none. */
  readonly timestamp: unknown;
  readonly serverTime: string;
}

/** Events from the server, by `type`. */
export interface ServerEvents {
  auth_success: AuthSuccess;
  auth_failed: AuthFailed;
  pong: Pong;
  error: WireError;
  'message.sent': MessageSent;
  'message.new': MessageNew;
  'conversation.updated': ConversationUpdated;
  'notification.unread': NotificationUnread;
  'message.read_ack': ReadAck;
  'message.read_update': ReadUpdate;
  'message.delivered_update': DeliveredUpdate;
  'block.added': BlockAdded;
  'block.removed': BlockRemoved;
  'status.bulk': StatusBulk;
  'user.online': UserOnline;
  'user.offline': UserOffline;
  'typing.update': TypingUpdate;
  'sync.conversation': SyncConversation;
  'sync.done': SyncDone;
}

export interface Auth {
  readonly token: string;
}

export interface Ping {
  readonly timestamp?: unknown;
}

export interface SendMessage {
  readonly conversationId: string;
  readonly content: string;
  /** 1 to 64 characters. The idempotency key of the send. */
  readonly tempId?: string;
  readonly type?: 'text';
}

export interface ReadMessages {
  readonly conversationId: string;
  /** Default: everything. */
  readonly upTo?: number;
}

export interface ReceiveMessages {
  readonly conversationId: string;
  readonly upTo: number;
}

/** A user, by one of the two. */
export interface PersonRef {
  readonly userId?: string;
  readonly username?: string;
}

export interface Synchronize {
  /** The last number seen, for each known conversation. */
  readonly conversations: Readonly<Record<string, number>>;
  /** Only conversations whose id is greater than this one: for more of them than fit into one frame. */
  readonly after?: string;
  /** Only conversations whose id is at most this one. */
  readonly until?: string;
}

export interface Typing {
  readonly conversationId: string;
}

/** Events from clients, by `type`. */
export interface ClientEvents {
  auth: Auth;
  ping: Ping;
  'message.send': SendMessage;
  'message.read': ReadMessages;
  'message.delivered': ReceiveMessages;
  'block.add': PersonRef;
  'block.remove': PersonRef;
  sync: Synchronize;
  'typing.start': Typing;
  'typing.stop': Typing;
}

/** One frame. An answer carries the `id` of the event it answers; other events have none. */
export interface Envelope<Type extends string = string, Payload = unknown> {
  readonly type: Type;
  readonly id?: string;
  readonly payload: Payload;
}

/** An event from the server, discriminated by `type`. */
export type ServerEvent = { [Type in keyof ServerEvents]: Envelope<Type, ServerEvents[Type]> }[keyof ServerEvents];

/** `GET /chat/conversations` */
export interface ConversationPage {
  /** Latest activity first. */
  readonly conversations: readonly Conversation[];
  readonly nextCursor?: string;
}

/** `GET /chat/conversations/{id}/messages` */
export interface MessagePage {
  /** Ascending by `seq`. */
  readonly messages: readonly Message[];
  /** Whether there is more in the requested direction. */
  readonly hasMore: boolean;
}

/** `GET /chat/blocks` */
export interface BlockList {
  readonly blocks: readonly BlockAdded[];
}

export interface UnreadConversation {
  readonly conversationId: string;
  readonly unread: number;
}

/** `GET /chat/unread` */
export interface UnreadSummary {
  readonly totalUnread: number;
  readonly conversations: readonly UnreadConversation[];
}

/** A rejected REST request: problem details (RFC 9457). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** For developers. */
  readonly detail?: string;
  readonly code: Exclude<ErrorCode, 'INVALID_MESSAGE' | 'UNKNOWN_EVENT'>;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly field?: string;
  readonly tempId?: string;
  readonly traceId?: string;
}
