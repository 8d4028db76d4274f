import { ChatError } from './client.js';
import type { Link } from './link.js';
import type { OutboxStorage } from './outbox.js';
import { pause } from './pause.js';
import type { OutboxEntry } from './state.js';
import type { Store } from './store.js';
import type { WireError } from './wire.js';

const retryDelay = 1000;

/**
 * Brings the outbox to the server: one message after the other, in their order, each again and again under its tempId
 * until it is acknowledged or refused for good. Other tabs may hold the same entries; a tempId makes that harmless, and
 * a lock makes it rare.
 */
export class Sender {
  readonly #store: Store;
  readonly #link: Link;
  readonly #storage: OutboxStorage;
  readonly #failed: (entry: OutboxEntry, error: WireError) => void;
  /** The entries that are in the storage as far as this tab knows: one that is missing there was sent by another tab. */
  readonly #stored = new Map<string, Promise<boolean>>();
  #outbox: readonly OutboxEntry[] = [];
  #isRunning = false;
  #session: AbortController | undefined;

  constructor(store: Store, link: Link, storage: OutboxStorage, failed: (entry: OutboxEntry, error: WireError) => void) {
    this.#store = store;
    this.#link = link;
    this.#storage = storage;
    this.#failed = failed;
    store.subscribe(() => this.#forgetSettled());
  }

  /** Takes up what was left unsent: before the last reload, or by another tab. */
  async restore(userId: string): Promise<void> {
    try {
      const entries = await this.#storage.load(userId);
      for (const { tempId } of entries) if (!this.#stored.has(tempId)) this.#stored.set(tempId, Promise.resolve(true));
      this.#store.dispatch({ type: 'restored', entries });
    } catch {
      // A browser without storage, in private mode for one: messages live as long as the page.
    }
  }

  opened(): void {
    this.closed();
    this.#session = new AbortController();
    this.run();
  }

  closed(): void {
    this.#session?.abort();
    this.#session = undefined;
  }

  add(entry: OutboxEntry): void {
    this.#keep(entry);
    this.#store.dispatch({ type: 'queued', entry });
    this.run();
  }

  retry(tempId: string): void {
    this.#store.dispatch({ type: 'retried', tempId });
    const entry = this.#store.getState().outbox.find((held) => held.tempId === tempId);
    if (entry) this.#keep(entry);
    this.run();
  }

  /** Sends what waits, unless that is under way. */
  run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#sendAll().finally(() => {
      this.#isRunning = false;
      // A connection may have come, or an entry, while the last round was ending.
      if (this.#link.isOnline && this.#session && this.#next()) this.run();
    });
  }

  #next(): OutboxEntry | undefined {
    return this.#store.getState().outbox.find((entry) => entry.status === 'sending');
  }

  async #sendAll(): Promise<void> {
    for (let entry = this.#next(); entry && this.#link.isOnline; entry = this.#next()) {
      const session = this.#session?.signal;
      if (!session || session.aborted) return;
      const next = entry;
      const wait = await alone(`chat-outbox-${next.userId}`, session, () => this.#sendOne(next));
      if (wait > 0) await pause(wait, session);
    }
  }

  /** Sends one entry; returns for how long not to send. */
  async #sendOne(entry: OutboxEntry): Promise<number> {
    const { tempId, conversationId, content } = entry;
    if (await this.#isGone(tempId)) {
      this.#store.dispatch({ type: 'dropped', tempId });
      return 0;
    }

    // A frame that is too large ends the connection for good, and would do so after each reload.
    const maxFrameBytes = this.#store.getState().me?.limits?.maxFrameBytes ?? Infinity;
    const frame = { type: 'message.send', id: '0000000000', payload: { conversationId, content, tempId } };
    if (new TextEncoder().encode(JSON.stringify(frame)).length > maxFrameBytes) {
      this.#fail(entry, { code: 'VALIDATION_ERROR', message: 'The message is too long.', retryable: false, field: 'content' });
      return 0;
    }

    try {
      await this.#link.request('message.send', { conversationId, content, tempId });
      // The answer has taken it out of the outbox, unless that was for another person's conversation of the same name.
      this.#store.dispatch({ type: 'dropped', tempId });
      return 0;
    } catch (failure) {
      if (!(failure instanceof ChatError)) throw failure;
      if (failure.retryable) return failure.details.retryAfterMs ?? retryDelay;
      this.#fail(entry, { message: failure.message, retryable: false, ...failure.details, code: failure.code as WireError['code'] });
      return 0;
    }
  }

  #fail(entry: OutboxEntry, error: WireError): void {
    this.#store.dispatch({ type: 'failed', tempId: entry.tempId, error: error.code });
    const failed = this.#store.getState().outbox.find((held) => held.tempId === entry.tempId);
    if (!failed) return;
    this.#keep(failed);
    this.#failed(failed, error);
  }

  #keep(entry: OutboxEntry): void {
    const before = this.#stored.get(entry.tempId) ?? Promise.resolve(true);
    this.#stored.set(entry.tempId, before.then(() => this.#storage.put(entry)).then(() => true, () => false));
  }

  /** Whether another tab has seen to it. */
  async #isGone(tempId: string): Promise<boolean> {
    if (!(await this.#stored.get(tempId))) return false;
    return this.#storage.has(tempId).then((has) => !has, () => false);
  }

  /** What has left the outbox leaves the storage. */
  #forgetSettled(): void {
    const { outbox } = this.#store.getState();
    if (outbox === this.#outbox) return;
    const left = new Set(outbox.map((entry) => entry.tempId));
    for (const { tempId } of this.#outbox) {
      if (left.has(tempId)) continue;
      const stored = this.#stored.get(tempId);
      this.#stored.delete(tempId);
      // What stays in the storage by mistake is sent once more, and its tempId makes that harmless.
      void stored?.then(() => this.#storage.remove(tempId)).catch(() => {});
    }

    this.#outbox = outbox;
  }
}

/** Runs alone among all tabs, where the browser has locks. */
async function alone(name: string, signal: AbortSignal, run: () => Promise<number>): Promise<number> {
  const locks = (globalThis.navigator as Partial<Navigator> | undefined)?.locks;
  if (!locks) return run();
  try {
    return await locks.request(name, { signal }, run);
  } catch (failure) {
    if (signal.aborted) return 0;
    throw failure;
  }
}
