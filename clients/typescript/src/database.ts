/** An IndexedDB database, opened on first use, and again after a failure or a version change. */
export class Database {
  readonly #open: () => Promise<IDBDatabase>;
  readonly #store: string;
  #opening: Promise<IDBDatabase> | undefined;

  constructor(factory: IDBFactory, name: string, store: string, create: (database: IDBDatabase) => void) {
    this.#store = store;
    this.#open = () =>
      new Promise((resolve, reject) => {
        const request = factory.open(name, 1);
        request.onupgradeneeded = () => create(request.result);
        request.onsuccess = () => {
          // Do not block a newer version in another tab.
          request.result.onversionchange = () => {
            request.result.close();
            this.#opening = undefined;
          };
          resolve(request.result);
        };
        request.onerror = () => reject(request.error);
      });
  }

  /** Runs one transaction. Resolves with the result of its last request once it has committed. */
  async run<Result>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<Result> | undefined): Promise<Result | undefined> {
    const transaction = (await this.#opened()).transaction(this.#store, mode);
    const request = ask(transaction.objectStore(this.#store));
    return new Promise((resolve, reject) => {
      // Not in onsuccess: only a committed transaction is durable.
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }

  #opened(): Promise<IDBDatabase> {
    this.#opening ??= this.#open().catch((failure: unknown) => {
      this.#opening = undefined;
      throw failure;
    });
    return this.#opening;
  }
}
