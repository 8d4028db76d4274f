import type { OutboxEntry } from './state.js';

/** Keeps unsent messages over reloads. */
export interface OutboxStorage {
  /** A user's entries, oldest first. */
  load(userId: string): Promise<OutboxEntry[]>;
  /** Whether an entry is still there: another tab may have sent it. */
  has(tempId: string): Promise<boolean>;
  /** Adds an entry, or puts it in the place of the one with its tempId. */
  put(entry: OutboxEntry): Promise<void>;
  remove(tempId: string): Promise<void>;
}

/** Keeps them as long as the page lives. */
export function memoryStorage(): OutboxStorage {
  const entries = new Map<string, OutboxEntry>();
  return {
    load: async (userId) => [...entries.values()].filter((entry) => entry.userId === userId).sort(byAge),
    has: async (tempId) => entries.has(tempId),
    put: async (entry) => void entries.set(entry.tempId, entry),
    remove: async (tempId) => void entries.delete(tempId),
  };
}

/** Keeps them in IndexedDB: shared by all tabs, and still there after a reload. */
export function indexedDbStorage(name = 'chat-outbox', factory: IDBFactory = indexedDB): OutboxStorage {
  let opening: Promise<IDBDatabase> | undefined;
  const database = () => {
    opening ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = factory.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore('entries', { keyPath: 'tempId' }).createIndex('userId', 'userId');
      request.onsuccess = () => {
        // A newer version in another tab must not wait for this one.
        request.result.onversionchange = () => {
          request.result.close();
          opening = undefined;
        };
        resolve(request.result);
      };
      request.onerror = () => reject(request.error);
    }).catch((failure: unknown) => {
      opening = undefined;
      throw failure;
    });
    return opening;
  };

  async function run<Result>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<Result>): Promise<Result> {
    const transaction = (await database()).transaction('entries', mode);
    const request = ask(transaction.objectStore('entries'));
    return new Promise((resolve, reject) => {
      // Not when the request is done: what is promised to be kept must have been committed.
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }

  return {
    load: async (userId) => ((await run('readonly', (store) => store.index('userId').getAll(userId))) as OutboxEntry[]).sort(byAge),
    has: async (tempId) => (await run('readonly', (store) => store.count(tempId))) > 0,
    put: async (entry) => void (await run('readwrite', (store) => store.put(entry))),
    remove: async (tempId) => void (await run('readwrite', (store) => store.delete(tempId))),
  };
}

/** Oldest first; the same for all tabs. */
export const byAge = (a: OutboxEntry, b: OutboxEntry) =>
  a.createdAt === b.createdAt ? (a.tempId < b.tempId ? -1 : 1) : a.createdAt < b.createdAt ? -1 : 1;
