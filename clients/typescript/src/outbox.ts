import { Database } from './database.js';
import type { OutboxEntry } from './state.js';

/** Stores unsent messages across reloads. */
export interface OutboxStorage {
  /** A user's entries, oldest first. */
  load(userId: string): Promise<OutboxEntry[]>;
  /** Whether an entry is still there: another tab may have sent it. */
  has(tempId: string): Promise<boolean>;
  /** Adds an entry, or replaces the one with its tempId. */
  put(entry: OutboxEntry): Promise<void>;
  remove(tempId: string): Promise<void>;
}

/** Unsent messages in memory, as long as the page lives. */
export function memoryStorage(): OutboxStorage {
  const entries = new Map<string, OutboxEntry>();
  return {
    load: async (userId) => [...entries.values()].filter((entry) => entry.userId === userId).sort(byAge),
    has: async (tempId) => entries.has(tempId),
    put: async (entry) => void entries.set(entry.tempId, entry),
    remove: async (tempId) => void entries.delete(tempId),
  };
}

/** Unsent messages in IndexedDB: shared by all tabs, and still there after a reload. */
export function indexedDbStorage(name = 'chat-outbox', factory: IDBFactory = indexedDB): OutboxStorage {
  const database = new Database(factory, name, 'entries', (created) =>
    created.createObjectStore('entries', { keyPath: 'tempId' }).createIndex('userId', 'userId'),
  );
  return {
    async load(userId) {
      const entries = await database.run('readonly', (store) => store.index('userId').getAll(userId));
      return (entries as OutboxEntry[]).sort(byAge);
    },
    has: async (tempId) => (await database.run('readonly', (store) => store.count(tempId))) !== 0,
    put: async (entry) => void (await database.run('readwrite', (store) => store.put(entry))),
    remove: async (tempId) => void (await database.run('readwrite', (store) => store.delete(tempId))),
  };
}

/** Oldest first; the same for all tabs. */
export const byAge = (a: OutboxEntry, b: OutboxEntry) =>
  a.createdAt === b.createdAt ? (a.tempId < b.tempId ? -1 : 1) : a.createdAt < b.createdAt ? -1 : 1;
