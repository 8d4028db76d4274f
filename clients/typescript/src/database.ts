/** A database of IndexedDB, opened when it is first needed, and again after it failed or a newer version took its place. */
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
          // A newer version in another tab must not wait for this one.
          request.result.onversionchange = () => {
            request.result.close();
            this.#opening = undefined;
          };
          resolve(request.result);
        };
        request.onerror = () => reject(request.error);
      });
  }

  /** One transaction. Resolves with the result of the last request, once all of it is committed. */
  async run<Result>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<Result> | undefined): Promise<Result | undefined> {
    const transaction = (await this.#opened()).transaction(this.#store, mode);
    const request = ask(transaction.objectStore(this.#store));
    return new Promise((resolve, reject) => {
      // Not when the request is done: what is promised to be kept must have been committed.
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
