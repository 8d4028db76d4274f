import { ChatError, type Timing } from './client.js';
import type { ChatApi } from './rest.js';
import { hasOlder } from './selectors.js';
import type { Store } from './store.js';
import type { Synchronizer } from './synchronizer.js';

export const defaultPageSize = 50;
/** A conversation that nobody shows is cut back to the first number once it has more than the second. */
const keptMessages = 200;
const maxMessages = 1_000;

/** Loads conversations and pages of older messages into the state, and drops what nobody shows any more. */
export class HistoryLoader {
  readonly #store: Store;
  readonly #api: ChatApi;
  readonly #synchronizer: Synchronizer;
  readonly #timing: Timing;
  readonly #loads = new Map<string, Promise<void>>();
  readonly #pages = new Map<string, Promise<void>>();
  readonly #retained = new Map<string, number>();

  constructor(store: Store, api: ChatApi, synchronizer: Synchronizer, timing: Timing) {
    this.#store = store;
    this.#api = api;
    this.#synchronizer = synchronizer;
    this.#timing = timing;
  }

  load(conversationId: string): Promise<void> {
    return once(this.#loads, conversationId, () => this.#whenConnected(() => this.#load(conversationId)));
  }

  loadOlder(conversationId: string, limit: number): Promise<void> {
    return once(this.#pages, conversationId, () => this.#loadOlder(conversationId, limit));
  }

  retain(conversationId: string): () => void {
    this.#retained.set(conversationId, (this.#retained.get(conversationId) ?? 0) + 1);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const left = this.#retained.get(conversationId)! - 1;
      if (left > 0) this.#retained.set(conversationId, left);
      else this.#retained.delete(conversationId);
      this.#trim(conversationId, keptMessages);
    };
  }

  /** A live message has arrived. */
  messageAdded(conversationId: string): void {
    this.#trim(conversationId, maxMessages);
  }

  #trim(conversationId: string, limit: number): void {
    const count = this.#store.getState().conversations[conversationId]?.messages.length ?? 0;
    if (!this.#retained.has(conversationId) && count > limit) this.#store.dispatch({ type: 'trimmed', conversationId, keep: keptMessages });
  }

  async #load(conversationId: string): Promise<void> {
    if (!this.#store.getState().conversations[conversationId]) {
      const since = this.#store.getState().clock;
      await this.#synchronizer.add(await this.#api.conversation(conversationId), since);
    }

    const conversation = this.#store.getState().conversations[conversationId];
    if (conversation && conversation.messages.length < defaultPageSize) await this.loadOlder(conversationId, defaultPageSize);
  }

  async #loadOlder(conversationId: string, limit: number): Promise<void> {
    const conversation = this.#store.getState().conversations[conversationId];
    if (!conversation || !hasOlder(conversation)) return;
    const { loadedFrom } = conversation;
    this.#store.dispatch({ type: 'loading', conversationId, history: 'loading' });
    try {
      const page = await this.#api.messages(conversationId, { before: loadedFrom, limit });
      this.#store.dispatch({ type: 'history', conversationId, before: loadedFrom, page });
      this.#store.dispatch({ type: 'loading', conversationId, history: 'idle' });
    } catch (failure) {
      this.#store.dispatch({ type: 'loading', conversationId, history: 'failed' });
      throw failure;
    }
  }

  /** Retries after a retryable failure, on the next connection or after the longest back-off. */
  async #whenConnected(run: () => Promise<void>): Promise<void> {
    for (;;) {
      const tried = this.#store.getState().connection;
      try {
        await run();
        return;
      } catch (failure) {
        if (!(failure instanceof ChatError) || !failure.retryable) throw failure;
      }

      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, this.#timing.backoffCap);
        const unsubscribe = this.#store.subscribe(() => {
          const { connection } = this.#store.getState();
          if (connection !== tried && connection.status === 'online') done();
        });
        function done() {
          clearTimeout(timer);
          unsubscribe();
          resolve();
        }
      });
    }
  }
}

/** One run at a time for each key; callers meanwhile share it. */
function once(running: Map<string, Promise<void>>, key: string, run: () => Promise<void>): Promise<void> {
  const known = running.get(key);
  if (known) return known;
  const started = run().finally(() => running.delete(key));
  running.set(key, started);
  return started;
}
