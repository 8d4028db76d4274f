import type { Timing } from './client.js';
import type { Connection } from './connection.js';
import type { Store } from './store.js';

/** Sends typing indicators, and expires those of others whose end was lost. */
export class TypingSignals {
  readonly #store: Store;
  readonly #connection: Connection;
  readonly #timing: Timing;
  readonly #sentAt = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(store: Store, connection: Connection, timing: Timing) {
    this.#store = store;
    this.#connection = connection;
    this.#timing = timing;
    store.subscribe(() => this.#scheduleExpiry());
  }

  /** Throttled: on the server an indicator lasts six seconds. */
  start(conversationId: string): void {
    const saidAt = this.#sentAt.get(conversationId);
    if (saidAt !== undefined && Date.now() - saidAt < this.#timing.typingEvery) return;
    if (this.#connection.send('typing.start', { conversationId })) this.#sentAt.set(conversationId, Date.now());
  }

  stop(conversationId: string): void {
    if (this.#sentAt.delete(conversationId)) this.#connection.send('typing.stop', { conversationId });
  }

  opened(): void {
    this.#sentAt.clear();
  }

  reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #scheduleExpiry(): void {
    if (this.#timer) return;
    const startedAt = Object.values(this.#store.getState().typing).flatMap((typists) => Object.values(typists));
    if (startedAt.length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#store.dispatch({ type: 'typingExpired', before: Date.now() - this.#timing.typingLasts + 1 });
      this.#scheduleExpiry();
    }, Math.max(0, Math.min(...startedAt) + this.#timing.typingLasts - Date.now()));
  }
}
