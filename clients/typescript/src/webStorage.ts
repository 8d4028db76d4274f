/** A part of localStorage or sessionStorage that never throws. */
export interface KeyValueStore {
  get(key: string): string | null;
  /** Whether the value will outlive the page: false where storage is blocked or full, and the page's memory holds it. */
  set(key: string, value: string): boolean;
  remove(key: string): void;
  /** The keys that begin like this. */
  keys(prefix: string): string[];
}

type Area = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

/**
 * The browser's key-value storage, guarded: reading the property, each read and each write may throw (blocked by policy or
 * by the user, full, or not there at all). What cannot be stored is kept in memory, as long as the page lives.
 */
export function webStorage(area: 'localStorage' | 'sessionStorage', from: Partial<Record<typeof area, Area>> = globalThis): KeyValueStore {
  // Null: removed here, though the storage may still say otherwise.
  const memory = new Map<string, string | null>();

  function attempt<Result>(run: (storage: Area) => Result): Result | undefined {
    try {
      const storage = from[area];
      return storage && run(storage);
    } catch {
      return undefined;
    }
  }

  return {
    get(key) {
      const held = memory.get(key);
      return held !== undefined ? held : (attempt((storage) => storage.getItem(key)) ?? null);
    },
    set(key, value) {
      const isStored = attempt((storage) => (storage.setItem(key, value), true)) ?? false;
      if (isStored) memory.delete(key);
      else memory.set(key, value);
      return isStored;
    },
    remove(key) {
      const isRemoved = attempt((storage) => (storage.removeItem(key), true)) ?? false;
      if (isRemoved) memory.delete(key);
      else memory.set(key, null);
    },
    keys(prefix) {
      const stored = attempt((storage) => Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '')) ?? [];
      const removed = new Set([...memory].filter(([, value]) => value === null).map(([key]) => key));
      return [...new Set([...stored.filter((key) => !removed.has(key)), ...[...memory.keys()].filter((key) => !removed.has(key))])].filter((key) => key.startsWith(prefix));
    },
  };
}
