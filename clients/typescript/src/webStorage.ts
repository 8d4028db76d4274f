/** A key-value storage that never throws. */
export interface KeyValueStore {
  get(key: string): string | null;
  /** Returns whether the value was stored: if not, because storage is blocked or full, it is kept in memory. */
  set(key: string, value: string): boolean;
  remove(key: string): void;
  /** The keys with this prefix. */
  keys(prefix: string): string[];
}

type Area = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

/**
 * localStorage or sessionStorage without exceptions: accessing the property, each read and each write may throw (blocked by policy or
 * by the user, full, or missing). What cannot be stored is kept in memory.
 */
export function webStorage(area: 'localStorage' | 'sessionStorage', from: Partial<Record<typeof area, Area>> = globalThis): KeyValueStore {
  // Null: removed, although the storage may still have it.
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
      return [...new Set([...stored, ...memory.keys()])].filter((key) => key.startsWith(prefix) && memory.get(key) !== null);
    },
  };
}
