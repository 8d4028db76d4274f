import type { Conversation, ErrorCode, Message, ServerEvent, ServerLimits, UserStatus } from './wire.js';

/** The status of the connection. */
export type ConnectionStatus =
  /** Not started, or stopped. */
  | 'idle'
  /** Opening the socket, or signing in. */
  | 'connecting'
  /** Signed in; live events arrive. */
  | 'online'
  /** Disconnected; the next attempt is at `retryAt`. */
  | 'reconnecting'
  /** The same, while the device reports no network. Only a hint: attempts continue. */
  | 'offline'
  /** No more attempts: the user has to sign in again, or the client has to be updated. */
  | 'rejected';

/** Why the status is `rejected`, if known. */
export type ConnectionProblem =
  /** There is no token without a new sign-in: `token` rejected with `SignInRequiredError`. */
  | 'SIGN_IN_REQUIRED'
  /** The server's verdict on the token, and there was no other one. */
  | 'TOKEN_EXPIRED'
  | 'TOKEN_INVALID'
  /** The user was signed out on all devices, by themselves or by an administrator. Their data on this one has been removed. */
  | 'REVOKED'
  /** The browser blocks connections to this address, for example mixed content. */
  | 'ADDRESS_NOT_ALLOWED'
  /** There is no WebSocket class. */
  | 'NO_WEBSOCKET';

export interface ConnectionState {
  readonly status: ConnectionStatus;
  /** Failed attempts in a row. */
  readonly attempt: number;
  /** Time of the next attempt, in milliseconds since 1970; only while `reconnecting` or `offline`. */
  readonly retryAt?: number;
  readonly problem?: ConnectionProblem;
  /** The last close code and its reason, or what went wrong here. For developers. */
  readonly closeCode?: number;
  readonly reason?: string;
}

/** Who is signed in. */
export interface Me {
  readonly userId: string;
  /** The server's limits; absent before the first sign-in. */
  readonly limits?: ServerLimits;
}

/** A conversation and its loaded messages. */
export interface ConversationState extends Conversation {
  /** The highest number that is known to exist. */
  readonly seq: number;
  /** Ascending by `seq`: every message from `loadedFrom` on. */
  readonly messages: readonly Message[];
  /** Older messages are loaded on request; 1 if there are none. */
  readonly loadedFrom: number;
  /** Every change up to this number was seen. */
  readonly position: number;
  /** Numbers past `position` + 1 that were seen already: the ones between are missing. */
  readonly outOfOrder: readonly number[];
  /** Whether older messages are being loaded, or could not be. */
  readonly history: 'idle' | 'loading' | 'failed';
  /** The state's `clock` when the unread count last came live. */
  readonly unreadTold: number;
}

/** A message that the server has not acknowledged yet. */
export interface OutboxEntry {
  readonly tempId: string;
  readonly userId: string;
  readonly conversationId: string;
  readonly content: string;
  /** RFC 3339, by this device's clock. */
  readonly createdAt: string;
  readonly status: 'sending' | 'failed';
  /** Why it failed; while `sending`, the last error, such as `UNAVAILABLE`. */
  readonly error?: ErrorCode;
}

/** Text that was written and not sent. */
export interface Draft {
  readonly content: string;
  /** RFC 3339, by this device's clock. */
  readonly changedAt: string;
}

/** The whole state. Immutable: what has not changed keeps its identity. */
export interface ChatState {
  readonly connection: ConnectionState;
  readonly me: Me | null;
  /** The epoch of the server's database. */
  readonly epoch: string | null;
  readonly conversations: Readonly<Record<string, ConversationState>>;
  /** Whether `conversations` is complete. */
  readonly listed: boolean;
  /** Whether everything that was missed is in the state: from then on all changes are live. */
  readonly isCaughtUp: boolean;
  readonly presence: Readonly<Record<string, UserStatus>>;
  /** Whether the next `status.bulk` adds to the one before. */
  readonly presenceHasMore: boolean;
  /** By conversation: who is typing, and since when that is known. */
  readonly typing: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Whom the user has blocked, and since when. */
  readonly blocks: Readonly<Record<string, string>>;
  /** Of all tabs, in the order of sending. */
  readonly outbox: readonly OutboxEntry[];
  /** Whether unsent messages survive a reload: false if the storage fails or does not respond. */
  readonly isOutboxStored: boolean;
  /** By conversation: the drafts on this device. */
  readonly drafts: Readonly<Record<string, Draft>>;
  /** Events about conversations that are not loaded yet; replayed once they are. */
  readonly pendingEvents: Readonly<Record<string, readonly ServerEvent[]>>;
  /** Counts live events, so that an answer can be compared with events that arrived after the request. */
  readonly clock: number;
}

export const initialState: ChatState = {
  connection: { status: 'idle', attempt: 0 },
  me: null,
  epoch: null,
  conversations: {},
  listed: false,
  isCaughtUp: false,
  presence: {},
  presenceHasMore: false,
  typing: {},
  blocks: {},
  outbox: [],
  isOutboxStored: true,
  drafts: {},
  pendingEvents: {},
  clock: 0,
};
