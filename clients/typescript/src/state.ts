import type { Conversation, ErrorCode, Message, ServerEvent, ServerLimits, UserStatus } from './wire.js';

/** How it stands with the connection. */
export type ConnectionStatus =
  /** Not started, or stopped. */
  | 'idle'
  /** A socket is being opened or a token checked. */
  | 'connecting'
  /** Signed in; live events arrive. */
  | 'online'
  /** Lost; the next try is at `retryAt`. */
  | 'reconnecting'
  /** The same, where the device says that there is no network: a hint, tries are made all the same. */
  | 'offline'
  /** The server will not have us back without a change: sign in again, or update. */
  | 'rejected';

/** Why the status is `rejected`, where that is known. */
export type ConnectionProblem =
  /** The source of tokens has none without the user: `token` rejected with `SignInRequiredError`. */
  | 'SIGN_IN_REQUIRED'
  /** What the server said of the token, and there was no better one. */
  | 'TOKEN_EXPIRED'
  | 'TOKEN_INVALID'
  /** The user was signed out on all devices, by themselves or by an administrator: nothing of theirs is left on this one. */
  | 'REVOKED'
  /** The browser does not allow a connection to this address, from an https page to plain http for one. */
  | 'ADDRESS_NOT_ALLOWED'
  /** There is no WebSocket class here. */
  | 'NO_WEBSOCKET';

export interface ConnectionState {
  readonly status: ConnectionStatus;
  /** Failed tries in a row. */
  readonly attempt: number;
  /** When the next try is made, in milliseconds since 1970; only while `reconnecting` or `offline`. */
  readonly retryAt?: number;
  readonly problem?: ConnectionProblem;
  /** The last close code, and the server's word on it, or what went wrong here. For developers. */
  readonly closeCode?: number;
  readonly reason?: string;
}

/** Who is signed in. */
export interface Me {
  readonly userId: string;
  /** What the server allows; absent until it has said so. */
  readonly limits?: ServerLimits;
}

/** A conversation, and what is known of its messages. */
export interface ConversationState extends Conversation {
  /** The highest number that is known to exist. */
  readonly seq: number;
  /** Ascending by `seq`: every message from `loadedFrom` on, and no other. */
  readonly messages: readonly Message[];
  /** Older messages are loaded on request; 1 if there are none. */
  readonly loadedFrom: number;
  /** Every change up to this number was seen. */
  readonly position: number;
  /** Numbers past `position` + 1 that were seen: what lies between is missing. */
  readonly outOfOrder: readonly number[];
  /** How it stands with older messages. */
  readonly history: 'idle' | 'loading' | 'failed';
  /** The state's `clock` when the unread number was last told live. */
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
  /** Why it failed; while `sending`, what the server has answered so far: `UNAVAILABLE`, say. */
  readonly error?: ErrorCode;
}

/** What was written in a conversation and not sent. */
export interface Draft {
  readonly content: string;
  /** RFC 3339, by this device's clock. */
  readonly changedAt: string;
}

/** Everything there is to draw. Never changed in place: what has not changed keeps its identity. */
export interface ChatState {
  readonly connection: ConnectionState;
  readonly me: Me | null;
  /** The lineage of the server's database. */
  readonly epoch: string | null;
  readonly conversations: Readonly<Record<string, ConversationState>>;
  /** Whether all conversations of the user are in `conversations`. */
  readonly listed: boolean;
  /** Whether everything that was missed before this connection is in the state: what comes from then on is live. */
  readonly isCaughtUp: boolean;
  readonly presence: Readonly<Record<string, UserStatus>>;
  /** Whether the next `status.bulk` adds to the one before. */
  readonly presenceHasMore: boolean;
  /** By conversation, who is writing, and when that was told. */
  readonly typing: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Whom the user has blocked, and since when. */
  readonly blocks: Readonly<Record<string, string>>;
  /** In the order of sending, of all tabs. */
  readonly outbox: readonly OutboxEntry[];
  /** Whether unsent messages outlive the page: false where the storage fails or does not answer. */
  readonly isOutboxStored: boolean;
  /** By conversation: what the user has written and not sent, on this device. */
  readonly drafts: Readonly<Record<string, Draft>>;
  /** Events about conversations that are not known yet; they are replayed as soon as these are. */
  readonly pendingEvents: Readonly<Record<string, readonly ServerEvent[]>>;
  /** Counts live events, so that an answer can be compared with what was told since it was asked for. */
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
