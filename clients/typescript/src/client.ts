import type { ChatState, ConnectionState, OutboxEntry } from './state.js';
import type { ChatApi } from './rest.js';
import type { ConversationCache } from './cache.js';
import type { DraftStorage } from './drafts.js';
import type { OutboxStorage } from './outbox.js';
import type { Tabs } from './tabs.js';
import type { TokenSource } from './token.js';
import type { Network } from './network.js';
import type { PersonRef, ServerEvents, WireError } from './wire.js';

/** Options of `createChat`. Only `url` and `token` are required. */
export interface ChatOptions {
  /** The server's address, such as `https://chat.example.org`. The socket is below it. */
  readonly url: string | URL;
  /**
   * Returns an access token. Called before each connection and each request, so it should answer from a cache; with `refused` if
   * the server rejects that token, or will soon. `createTokenSource` makes one.
   */
  readonly token: TokenSource;
  /** The user whom `token` is for, if known: drafts and unsent messages are then available before the first token. */
  readonly userId?: string;
  /** Storage for unsent messages. Default: IndexedDB, or memory where there is none. */
  readonly storage?: OutboxStorage;
  /** Storage for drafts. Default: localStorage, or memory where there is none. */
  readonly drafts?: DraftStorage;
  /**
   * Stores the latest conversations, so that they can be read offline. Default: none; pass `indexedDbCache()` if the device is the
   * user's own.
   */
  readonly cache?: ConversationCache;
  /** The channel to the user's other tabs. Default: a BroadcastChannel in browsers. */
  readonly tabs?: Tabs;
  /** Required in Node before 22: pass the class of the `ws` package. */
  readonly WebSocket?: WebSocketConstructor;
  readonly fetch?: typeof fetch;
  /** Whether there is a network. Default: the browser's events. */
  readonly network?: Network;
  /** Random numbers from 0 to 1, for jitter. Default: `Math.random`. */
  readonly random?: () => number;
  readonly timing?: Partial<Timing>;
}

/** In milliseconds. */
export interface Timing {
  /** Upper bound of the first back-off; it doubles with each failure. 500. */
  readonly backoffBase: number;
  /** Upper bound of every back-off. 30,000. */
  readonly backoffCap: number;
  /** A connection that lasted this long resets the back-off. 10,000. */
  readonly stableAfter: number;
  /** Time-out for opening the socket and signing in. 15,000. */
  readonly connectTimeout: number;
  /** Silence after which a ping is sent. 20,000. */
  readonly pingAfter: number;
  /** Time-out for its pong. 8,000. */
  readonly pingTimeout: number;
  /** Time-out for the pong if the connection is suspect: after sleep, when the page gets the focus, or without an answer. 5,000. */
  readonly probeTimeout: number;
  /** A request that has had no answer for this long, and silence since, make the connection suspect. 3,000. */
  readonly suspectAfter: number;
  /** Time-out for the answer to a request. 15,000. */
  readonly replyTimeout: number;
  /** Time-out for a storage operation; after it messages live in memory. 3,000. */
  readonly storageTimeout: number;
  /** How long to wait for another tab that is sending in the same conversation. 5,000. */
  readonly lockTimeout: number;
  /** How long before its expiry a token is renewed. 60,000. */
  readonly renewBefore: number;
  /** How long a gap may last before it is filled by a sync. 50. */
  readonly gapDelay: number;
  /** How long changes are collected before the cache is written. 1,000. */
  readonly cacheDelay: number;
  /** How long receipts are collected before they are sent. 200. */
  readonly receiptDelay: number;
  /** Minimum interval between two `typing.start`. 2,500. */
  readonly typingEvery: number;
  /** After this long a typing indicator disappears by itself, in case its end was lost. 60,000. */
  readonly typingLasts: number;
}

/** The part of the browser's WebSocket that is used. */
export interface WebSocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}

export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** Events to listen for: each event of the server by its name, and the client's own. */
export interface ChatEvents extends ServerEvents {
  connection: ConnectionState;
  /** A message was rejected permanently: `retry` or `discard` it. */
  'outbox.failed': { readonly entry: OutboxEntry; readonly error: WireError };
  /**
   * The user has signed out, here or in another tab, or was signed out on all devices (`everywhere`). Their data on this device has
   * been removed.
   */
  signedOut: { readonly userId: string; readonly everywhere: boolean };
}

/** A chat client, created by `createChat`. */
export interface Chat {
  /** The current state: everything that a user interface shows. */
  getState(): ChatState;
  /** Calls the listener after each change of the state. Returns a function that unsubscribes. */
  subscribe(listener: () => void): () => void;
  /** Listens for one kind of event. Returns a function that stops listening. */
  on<Type extends keyof ChatEvents>(type: Type, listener: (payload: ChatEvents[Type]) => void): () => void;

  /** Connects, and reconnects until `stop`. Tries again after `rejected`. */
  start(): void;
  /** Disconnects. Unsent messages and drafts stay in the storage. */
  stop(): void;
  /**
   * Disconnects, and removes the user's data from this device (unsent messages, drafts, conversations, the state) in all tabs. Ask
   * first if `unsentOf(state)` is not empty. Rejects if something could not be removed from the storage.
   */
  signOut(): Promise<void>;
  /**
   * Signs the user out on all devices, and here like `signOut`. Rejects with a `ChatError` if the request failed; the user is then still
   * signed in. Connected devices remove the user's data. A device that is offline and has a refresh token does not notice: only the
   * issuer can end its session.
   */
  signOutEverywhere(): Promise<void>;
  /** Reconnects now instead of at `retryAt`. */
  reconnect(): void;

  /** Opens the direct conversation with a user, or finds it. Returns its id. */
  open(person: PersonRef): Promise<string>;
  /** Loads a conversation and its latest messages. `ChatError` NOT_FOUND if it does not exist or is not the user's. */
  load(conversationId: string): Promise<void>;
  /** Loads a page of messages older than those in the state. */
  loadOlder(conversationId: string, limit?: number): Promise<void>;

  /**
   * Keeps all loaded messages of a conversation while it is shown; returns a function that releases it. Of other conversations only the
   * latest messages stay in memory.
   */
  retain(conversationId: string): () => void;

  /** Queues a message, which is sent as soon as there is a connection. Returns its tempId. */
  send(conversationId: string, content: string): string;
  /** Sends a failed message again. */
  retry(tempId: string): void;
  /** Discards an unsent message, failed or waiting. One that is being sent at this moment may still arrive. */
  discard(tempId: string): void;

  /** Saves the draft of a conversation; a blank one removes it. Shared by all tabs. */
  setDraft(conversationId: string, content: string): void;

  /** Marks messages up to a number as read; without one, all that are loaded. */
  markRead(conversationId: string, upTo?: number): void;
  /** Sends a typing indicator. Call it at each keystroke: it is throttled. */
  typing(conversationId: string): void;
  /** Ends the typing indicator. Sending a message does so by itself. */
  stopTyping(conversationId: string): void;

  block(person: PersonRef): Promise<void>;
  unblock(person: PersonRef): Promise<void>;

  /** The REST API, for what the state does not hold. */
  readonly api: ChatApi;
}

/** A request that the server has rejected, or that could not be made. */
export class ChatError extends Error {
  override readonly name = 'ChatError';

  constructor(
    /** The server's code; `OFFLINE` if there was no answer. */
    readonly code: WireError['code'] | 'OFFLINE',
    message: string,
    readonly details: Partial<WireError> = {},
  ) {
    super(message);
  }

  get retryable(): boolean {
    return this.code === 'OFFLINE' || this.details.retryable === true;
  }
}
