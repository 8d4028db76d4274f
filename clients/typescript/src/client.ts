import type { ChatState, ConnectionState, OutboxEntry } from './state.js';
import type { ChatApi } from './rest.js';
import type { ConversationCache } from './cache.js';
import type { DraftStorage } from './drafts.js';
import type { OutboxStorage } from './outbox.js';
import type { Tabs } from './tabs.js';
import type { TokenSource } from './token.js';
import type { Network } from './network.js';
import type { PersonRef, ServerEvents, WireError } from './wire.js';

/** What `createChat` takes. Only `url` and `token` are needed. */
export interface ChatOptions {
  /** Where the server is: `https://chat.example.org`. The socket is found below it. */
  readonly url: string | URL;
  /**
   * A token for the user. Called before each connection and each request, so it should answer from a cache; with `refused`
   * where the server does not take that one, or not much longer. `createTokenSource` makes one.
   */
  readonly token: TokenSource;
  /** Whose token `token` gives, where that is known: their drafts and unsent messages are there before the first token is. */
  readonly userId?: string;
  /** Where unsent messages are kept. IndexedDB where there is one, else memory. */
  readonly storage?: OutboxStorage;
  /** Where drafts are kept. localStorage where there is one, else memory. */
  readonly drafts?: DraftStorage;
  /**
   * Where the last conversations are kept, so that they are there without a connection. Nowhere by default: give
   * `indexedDbCache()` where the device is the user's own.
   */
  readonly cache?: ConversationCache;
  /** The other tabs of the same person. By BroadcastChannel, in a browser. */
  readonly tabs?: Tabs;
  /** For Node before 22: the `ws` package's class fits. */
  readonly WebSocket?: WebSocketConstructor;
  readonly fetch?: typeof fetch;
  /** Says when there is a network. The browser's own events by default. */
  readonly network?: Network;
  /** Numbers from 0 to 1, for the jitter. */
  readonly random?: () => number;
  readonly timing?: Partial<Timing>;
}

/** In milliseconds. */
export interface Timing {
  /** The longest wait before the first try; it doubles with each failure. 500. */
  readonly backoffBase: number;
  /** The longest wait before any try. 30,000. */
  readonly backoffCap: number;
  /** A connection that lasted this long counts as a success. 10,000. */
  readonly stableAfter: number;
  /** For a socket to open and the server to accept the token. 15,000. */
  readonly connectTimeout: number;
  /** Silence after which the server is asked for a sign of life. 20,000. */
  readonly pingAfter: number;
  /** For the sign of life. 8,000. */
  readonly pingTimeout: number;
  /** For the sign of life where there is a suspicion: after sleep, when the page is looked at, or nothing answers. 5,000. */
  readonly probeTimeout: number;
  /** A request without an answer, and silence since: is the connection dead? 3,000. */
  readonly suspectAfter: number;
  /** For the answer to any other event. 15,000. */
  readonly replyTimeout: number;
  /** For the storage to answer; after that messages live as long as the page. 3,000. */
  readonly storageTimeout: number;
  /** For another tab that sends in the same conversation; after that this one goes on. 5,000. */
  readonly lockTimeout: number;
  /** How long before its end a token is replaced. 60,000. */
  readonly renewBefore: number;
  /** For what is missing to come by itself before it is asked for. 50. */
  readonly gapDelay: number;
  /** For changes to gather before they are kept. 1,000. */
  readonly cacheDelay: number;
  /** For receipts to gather. 200. */
  readonly receiptDelay: number;
  /** Between two `typing.start`. 2,500. */
  readonly typingEvery: number;
  /** After which somebody is not shown as writing any more, if their end was lost. 60,000. */
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

/** What one can listen for: every event of the server's by its name, and the client's own. */
export interface ChatEvents extends ServerEvents {
  connection: ConnectionState;
  /** A message was refused for good; `retry` or `discard` it. */
  'outbox.failed': { readonly entry: OutboxEntry; readonly error: WireError };
  /**
   * The user has signed out, here or in another tab, or was signed out on all devices (`everywhere`): nothing of theirs is left on
   * this one.
   */
  signedOut: { readonly userId: string; readonly everywhere: boolean };
}

/** A chat. Made by `createChat`. */
export interface Chat {
  /** Everything there is to draw. */
  getState(): ChatState;
  /** Calls back after each change of the state. Returns the way to stop that. */
  subscribe(listener: () => void): () => void;
  /** Listens for one kind of event. Returns the way to stop that. */
  on<Type extends keyof ChatEvents>(type: Type, listener: (payload: ChatEvents[Type]) => void): () => void;

  /** Connects, and stays connected until `stop`. After `rejected`: tries again. */
  start(): void;
  /** Goes away. Unsent messages and drafts stay in the storage. */
  stop(): void;
  /**
   * Goes away for good: removes what this device keeps of the user (unsent messages, drafts, conversations, the state), here and in all
   * tabs. Ask before where `unsentOf(state)` is not empty. Rejects if the storage did not let go of everything.
   */
  signOut(): Promise<void>;
  /**
   * Signs the user out on all devices, and here like `signOut`. Rejects with a `ChatError` if the server could not be asked; then the
   * user is still signed in. Devices that are connected remove what they keep of the user; one that is offline, and can get a
   * new token by itself, does not notice: only the issuer can keep it out.
   */
  signOutEverywhere(): Promise<void>;
  /** Does not wait for the next try. */
  reconnect(): void;

  /** Opens the direct conversation with somebody, or finds it. */
  open(person: PersonRef): Promise<string>;
  /** Makes sure that a conversation and its latest messages are in the state. Not there, or not the user's: `ChatError` with NOT_FOUND. */
  load(conversationId: string): Promise<void>;
  /** Loads a page of older messages in front of those in the state. */
  loadOlder(conversationId: string, limit?: number): Promise<void>;

  /**
   * Keeps all loaded messages of a conversation while it is shown; returns the way to stop that. Of a conversation that nobody
   * retains only the latest are kept, and older ones are loaded again when they are asked for.
   */
  retain(conversationId: string): () => void;

  /** Sends a message, now or as soon as there is a connection. Returns its tempId. */
  send(conversationId: string, content: string): string;
  /** Sends a failed message again. */
  retry(tempId: string): void;
  /** Gives an unsent message up, failed or still waiting. One that is on its way at this moment may arrive. */
  discard(tempId: string): void;

  /** Keeps what is written and not sent yet; blank removes it. All tabs of the user see it. */
  setDraft(conversationId: string, content: string): void;

  /** Says that everything up to a number was read; without one, all that was loaded. */
  markRead(conversationId: string, upTo?: number): void;
  /** Call it at each keystroke: says often enough, and not more often, that the user is writing. */
  typing(conversationId: string): void;
  /** The user has stopped writing. Sending a message says so by itself. */
  stopTyping(conversationId: string): void;

  block(person: PersonRef): Promise<void>;
  unblock(person: PersonRef): Promise<void>;

  /** The REST side, for what the state does not keep. */
  readonly api: ChatApi;
}

/** A request that the server has refused, or that could not be made. */
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
