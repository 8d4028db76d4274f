import { ChatError, type Timing } from './client.js';
import type { Connection } from './connection.js';
import { exclusively } from './lock.js';
import type { OutboxStorage } from './outbox.js';
import { SendRate } from './sendRate.js';
import { delay, withTimeout } from './delay.js';
import { report } from './report.js';
import type { OutboxEntry } from './state.js';
import type { Store } from './store.js';
import type { WireError } from './wire.js';

const firstRetry = 1_000;
const maxRetry = 30_000;

/** What the sender reports. */
export interface OutboxObserver {
  failed(entry: OutboxEntry, error: WireError): void;
  /** The storage has changed: other tabs have to read it again. */
  stored(): void;
}

/** The loop that sends a conversation's entries. */
interface SendLoop {
  /** Ends the delay between two attempts. */
  wake: AbortController;
}

/**
 * Sends the outbox: within a conversation one message at a time, in order, each retried under its tempId (the idempotency key) until
 * it is acknowledged or rejected permanently. Conversations do not block each other. All tabs of a user share the outbox; a lock makes
 * it rare that two of them send the same message, and the tempId makes it harmless.
 */
export class OutboxSender {
  readonly #store: Store;
  readonly #connection: Connection;
  readonly #storage: OutboxStorage;
  readonly #timing: Timing;
  readonly #observer: OutboxObserver;
  /** Writes in progress. */
  readonly #puts = new Map<string, Promise<void>>();
  /** What the storage holds, as far as this tab knows. What is missing there was sent or discarded by another tab. */
  readonly #stored = new Set<string>();
  /** Removals in progress. */
  readonly #removing = new Set<string>();
  /** For each load in progress: what has left the outbox since it began. */
  readonly #loads = new Set<Set<string>>();
  readonly #loops = new Map<string, SendLoop>();
  readonly #rate = new SendRate();
  #outbox: readonly OutboxEntry[] = [];
  #session: AbortController | undefined;
  /** Storage operations that have timed out and not finished: no other is started before they have. */
  #pendingTimeouts = 0;

  constructor(store: Store, connection: Connection, storage: OutboxStorage, timing: Timing, observer: OutboxObserver) {
    this.#store = store;
    this.#connection = connection;
    this.#storage = storage;
    this.#timing = timing;
    this.#observer = observer;
    store.subscribe(() => this.#onStateChange());
  }

  /** Reads the shared storage: what was left unsent before a reload or by another tab, and what another tab has removed. */
  async restore(userId: string): Promise<void> {
    const before = [...this.#stored];
    // What is removed before the load finishes may still be in its result.
    const left = new Set(this.#removing);
    this.#loads.add(left);
    let entries: OutboxEntry[];
    try {
      entries = await this.#runStorage(() => this.#storage.load(userId));
    } catch {
      // No storage, as in some private modes: messages live as long as the page, and the state says so.
      return;
    } finally {
      this.#loads.delete(left);
    }

    if (this.#store.getState().me?.userId !== userId) return;
    const found = new Set(entries.map((entry) => entry.tempId));
    const gone = before.filter((tempId) => !found.has(tempId));
    for (const tempId of found) if (!left.has(tempId)) this.#stored.add(tempId);
    for (const tempId of gone) this.#stored.delete(tempId);
    this.#store.dispatch({ type: 'restored', entries: entries.filter(({ tempId }) => !left.has(tempId)), gone });
    // Acknowledged already: the page was closed before it could be removed.
    for (const { tempId } of entries) if (!left.has(tempId) && !this.#isInOutbox(tempId)) this.#remove(tempId);
  }

  /** Removes everything of a user, including what is being written at this moment. */
  async clear(userId: string): Promise<void> {
    await Promise.all(this.#puts.values());
    this.#stored.clear();
    const entries = await this.#runStorage(() => this.#storage.load(userId));
    await Promise.all(entries.map(({ tempId }) => this.#runStorage(() => this.#storage.remove(tempId))));
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
    this.#put(entry);
    this.#store.dispatch({ type: 'queued', entry });
  }

  retry(tempId: string): void {
    this.#store.dispatch({ type: 'retried', tempId });
    const entry = this.#store.getState().outbox.find((held) => held.tempId === tempId);
    if (!entry) return;
    this.#put(entry);
    this.#loops.get(entry.conversationId)?.wake.abort();
  }

  /** Starts a loop for each conversation that has something to send and no loop yet. */
  run(): void {
    if (!this.#connection.isOnline || !this.#session) return;
    for (const entry of this.#store.getState().outbox)
      if (entry.status === 'sending' && !this.#loops.has(entry.conversationId)) void this.#sendAll(entry.conversationId);
  }

  #next(conversationId: string): OutboxEntry | undefined {
    return this.#store.getState().outbox.find((entry) => entry.status === 'sending' && entry.conversationId === conversationId);
  }

  async #sendAll(conversationId: string): Promise<void> {
    const session = this.#session!.signal;
    const loop: SendLoop = { wake: new AbortController() };
    this.#loops.set(conversationId, loop);
    let wait = firstRetry;
    for (let entry = this.#next(conversationId); entry && !session.aborted; entry = this.#next(conversationId)) {
      const { tempId, userId } = entry;
      await this.#waitForRate(session);
      const pause = await exclusively(
        `chat-outbox-${userId}-${conversationId}`,
        this.#timing.lockTimeout,
        // Another tab may have sent it while this one waited for the lock.
        async () => (this.#next(conversationId)?.tempId === tempId && !session.aborted ? this.#sendOne(entry!) : 0),
        session,
      ).catch((failure: unknown) => {
        if (session.aborted) return 0;
        report(failure);
        return 'later' as const;
      });
      if (pause === 0) wait = firstRetry;
      else if (!session.aborted) {
        loop.wake = new AbortController();
        const end = () => loop.wake.abort();
        session.addEventListener('abort', end);
        await delay(pause === 'later' ? wait : pause, loop.wake.signal);
        session.removeEventListener('abort', end);
        wait = Math.min(maxRetry, wait * 2);
      }
    }

    this.#loops.delete(conversationId);
    // A connection or an entry may have arrived while the loop was ending.
    this.run();
  }

  /** Waits for the server's rate limit, which all conversations share. */
  async #waitForRate(session: AbortSignal): Promise<void> {
    do {
      const wait = this.#rate.take(this.#store.getState().me?.limits?.messagesPerSecond ?? Infinity);
      if (wait > 0) await delay(wait, session);
    } while (this.#rate.isHeld && !session.aborted);
  }

  /** Sends one entry; returns how long to wait before the next one of its conversation. */
  async #sendOne(entry: OutboxEntry): Promise<number | 'later'> {
    const { tempId, conversationId, content } = entry;
    if (await this.#isSentElsewhere(tempId)) {
      this.#store.dispatch({ type: 'discarded', tempId });
      return 0;
    }

    // It may have been discarded meanwhile, or an older entry restored.
    if (this.#next(conversationId)?.tempId !== tempId) return 0;

    // A frame that is too large closes the connection for good, and would do so again after each reload.
    const maxFrameBytes = this.#store.getState().me?.limits?.maxFrameBytes ?? Infinity;
    const frame = { type: 'message.send', id: '0000000000', payload: { conversationId, content, tempId } };
    if (new TextEncoder().encode(JSON.stringify(frame)).length > maxFrameBytes) {
      this.#fail(entry, { code: 'VALIDATION_ERROR', message: 'The message is too long.', retryable: false, field: 'content' });
      return 0;
    }

    try {
      await this.#connection.request('message.send', { conversationId, content, tempId });
      // Usually the reducer has removed it already, when the answer came in.
      this.#store.dispatch({ type: 'discarded', tempId });
      return 0;
    } catch (failure) {
      if (!(failure instanceof ChatError)) throw failure;
      if (failure.retryable) {
        // The user sees why it waits, and may discard it.
        if (failure.code !== 'OFFLINE') this.#store.dispatch({ type: 'delayed', tempId, error: failure.code });
        const { retryAfterMs } = failure.details;
        if (failure.code !== 'RATE_LIMITED') return retryAfterMs ?? 'later';
        // Other devices share the limit: `retryAfterMs` is when there is room for one message, and each rejection counts.
        this.#rate.hold(Math.max(retryAfterMs ?? 0, firstRetry));
        return 0;
      }

      this.#fail(entry, { message: failure.message, retryable: false, ...failure.details, code: failure.code as WireError['code'] });
      return 0;
    }
  }

  #isInOutbox(tempId: string): boolean {
    return this.#store.getState().outbox.some((entry) => entry.tempId === tempId);
  }

  #fail(entry: OutboxEntry, error: WireError): void {
    this.#store.dispatch({ type: 'failed', tempId: entry.tempId, error: error.code });
    const failed = this.#store.getState().outbox.find((held) => held.tempId === entry.tempId);
    if (!failed) return;
    this.#put(failed);
    this.#observer.failed(failed, error);
  }

  #put(entry: OutboxEntry): void {
    const { tempId } = entry;
    const before = this.#puts.get(tempId) ?? Promise.resolve();
    const put = before
      .then(() => this.#runStorage(() => this.#storage.put(entry)))
      .then(
        () => {
          this.#stored.add(tempId);
          this.#observer.stored();
          // A tab that was closed may have left something older without reporting it.
          return this.restore(entry.userId);
        },
        () => {},
      )
      .then(() => {
        if (this.#puts.get(tempId) !== put) return;
        this.#puts.delete(tempId);
        // It left the outbox while it was being written.
        if (this.#removing.has(tempId)) this.#remove(tempId);
      });
    this.#puts.set(tempId, put);
  }

  /** Removes an entry from the storage. */
  #remove(tempId: string): void {
    this.#removing.add(tempId);
    for (const left of this.#loads) left.add(tempId);
    this.#stored.delete(tempId);
    // After the write in progress.
    if (this.#puts.has(tempId)) return;
    this.#runStorage(() => this.#storage.remove(tempId)).then(
      () => {
        this.#removing.delete(tempId);
        this.#observer.stored();
      },
      // Retried when the storage works again. What stays by mistake is sent once more, which its tempId makes harmless.
      () => {},
    );
  }

  /** Whether another tab has sent or discarded it. */
  async #isSentElsewhere(tempId: string): Promise<boolean> {
    await this.#puts.get(tempId);
    if (!this.#stored.has(tempId)) return false;
    return this.#runStorage(() => this.#storage.has(tempId)).then((has) => !has, () => false);
  }

  /** Runs after each change of the state: sends new entries, and removes from the storage what has left the outbox. */
  #onStateChange(): void {
    const { outbox, me } = this.#store.getState();
    if (outbox === this.#outbox) return;
    const before = this.#outbox;
    this.#outbox = outbox;
    const left = new Set(outbox.map((entry) => entry.tempId));
    for (const { tempId, userId, conversationId } of before) {
      // Another user's entries stay in the storage until that user is back.
      if (left.has(tempId) || userId !== me?.userId) continue;
      this.#loops.get(conversationId)?.wake.abort();
      this.#remove(tempId);
    }

    this.run();
  }

  /** Runs a storage operation, which may fail or, as IndexedDB sometimes does, never finish. The state says whether it works. */
  async #runStorage<Result>(run: () => Promise<Result>): Promise<Result> {
    if (this.#pendingTimeouts > 0) throw new Error('The storage does not answer.');
    const operation = run();
    try {
      const result = await withTimeout(this.#timing.storageTimeout, () => operation, () => this.#onTimeout(operation));
      this.#store.dispatch({ type: 'storage', isWorking: true });
      return result;
    } catch (failure) {
      this.#store.dispatch({ type: 'storage', isWorking: false });
      throw failure;
    }
  }

  #onTimeout(operation: Promise<unknown>): void {
    this.#pendingTimeouts++;
    const end = () => {
      if (--this.#pendingTimeouts > 0) return;
      // It works again: write what was queued meanwhile.
      for (const entry of this.#store.getState().outbox) this.#put(entry);
      for (const tempId of this.#removing) this.#remove(tempId);
    };
    operation.then(end, end);
  }
}
