import type { Timing } from './client.js';
import { trim } from './conversation.js';
import { Database } from './database.js';
import { delay, withTimeout } from './delay.js';
import { conversationsOf } from './selectors.js';
import type { ConversationState } from './state.js';
import type { Store } from './store.js';

/** A user's conversations as they are cached. */
export interface CachedConversations {
  /** The database epoch that they belong to. */
  readonly epoch: string;
  readonly conversations: readonly ConversationState[];
}

/** Stores the latest conversations, so that they can be shown before there is a connection. */
export interface ConversationCache {
  load(userId: string): Promise<CachedConversations | undefined>;
  /** Replaces the given conversations, and removes all whose id is not in `ids`. */
  save(userId: string, changed: CachedConversations, ids: ReadonlySet<string>): Promise<void>;
  /** Removes everything of a user. */
  clear(userId: string): Promise<void>;
}

interface CacheRecord {
  readonly userId: string;
  readonly id: string;
  readonly epoch: string;
  readonly conversation: ConversationState;
}

/** A cache in IndexedDB, shared by all tabs. */
export function indexedDbCache(name = 'chat-conversations', factory: IDBFactory = indexedDB): ConversationCache {
  const database = new Database(factory, name, 'conversations', (created) =>
    created.createObjectStore('conversations', { keyPath: ['userId', 'id'] }).createIndex('userId', 'userId'),
  );
  return {
    async load(userId) {
      const records = (await database.run('readonly', (store) => store.index('userId').getAll(userId))) as CacheRecord[];
      const latest = records.reduce<CacheRecord | undefined>(
        (last, record) => (last && last.conversation.updatedAt >= record.conversation.updatedAt ? last : record),
        undefined,
      );
      // A tab that was closed half-way may have left some of an earlier epoch.
      if (!latest) return undefined;
      const { epoch } = latest;
      return { epoch, conversations: records.filter((record) => record.epoch === epoch).map(({ conversation }) => conversation) };
    },
    async save(userId, { epoch, conversations }, ids) {
      await database.run('readwrite', (store) => {
        for (const conversation of conversations) store.put({ userId, id: conversation.id, epoch, conversation } satisfies CacheRecord);
        return removeOthers(store, userId, ids);
      });
    },
    async clear(userId) {
      await database.run('readwrite', (store) => removeOthers(store, userId, new Set()));
    },
  };
}

function removeOthers(store: IDBObjectStore, userId: string, ids: ReadonlySet<string>): IDBRequest {
  const keys = store.index('userId').getAllKeys(userId);
  keys.onsuccess = () => {
    for (const key of keys.result) if (!ids.has((key as readonly string[])[1]!)) store.delete(key);
  };
  return keys;
}

const maxConversations = 50;
const maxMessages = 50;

/** Loads the cache into the state before there is a connection, and keeps the cache up to date afterwards. */
export class CacheKeeper {
  readonly #store: Store;
  readonly #cache: ConversationCache;
  readonly #timing: Timing;
  /** What the cache holds: the objects that were in the state. */
  #saved: ReadonlyMap<string, ConversationState> = new Map();
  #savedFor = '';
  #lastWritten: unknown;
  #waiting: AbortController | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(store: Store, cache: ConversationCache, timing: Timing) {
    this.#store = store;
    this.#cache = cache;
    this.#timing = timing;
    store.subscribe(() => this.#onStateChange());
  }

  async restore(userId: string): Promise<void> {
    try {
      const cached = await withTimeout(this.#timing.storageTimeout, () => this.#cache.load(userId));
      if (cached && this.#store.getState().me?.userId === userId) this.#store.dispatch({ type: 'recalled', ...cached });
    } catch {
      // No storage, as in some private modes: the conversations come from the server alone.
    }
  }

  stop(): void {
    this.#waiting?.abort();
    this.#waiting = undefined;
  }

  /** Removes everything of a user, including what is being written at this moment. */
  async clear(userId: string): Promise<void> {
    this.stop();
    this.#saved = new Map();
    this.#savedFor = '';
    await this.#writing;
    await withTimeout(this.#timing.storageTimeout, () => this.#cache.clear(userId));
  }

  /** Runs after each change of the state. Incomplete state is not written: the cache may be newer. */
  #onStateChange(): void {
    const { isCaughtUp, conversations } = this.#store.getState();
    if (!isCaughtUp || conversations === this.#lastWritten || this.#waiting) return;
    const waiting = new AbortController();
    this.#waiting = waiting;
    void delay(this.#timing.cacheDelay, waiting.signal).then(() => {
      if (waiting.signal.aborted) return;
      this.#waiting = undefined;
      // The storage is full or missing: what it has is older, and still a good start for a sync.
      this.#writing = this.#write().catch(() => undefined);
    });
  }

  async #write(): Promise<void> {
    const state = this.#store.getState();
    const { me, epoch, conversations, isCaughtUp } = state;
    if (!me || epoch === null || !isCaughtUp) return;
    this.#lastWritten = conversations;
    const lineage = `${me.userId} ${epoch}`;
    const last = new Map(conversationsOf(state).slice(0, maxConversations).map((conversation) => [conversation.id, conversation]));
    const kept = this.#savedFor === lineage ? this.#saved : new Map<string, ConversationState>();
    const changed = [...last.values()].filter((conversation) => kept.get(conversation.id) !== conversation);
    const cached = { epoch, conversations: changed.map((conversation) => trim(conversation, maxMessages)) };
    await withTimeout(this.#timing.storageTimeout, () => this.#cache.save(me.userId, cached, new Set(last.keys())));
    this.#saved = last;
    this.#savedFor = lineage;
  }
}
