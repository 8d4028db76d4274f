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

/** What the sender tells the chat. */
export interface OutboxObserver {
  failed(entry: OutboxEntry, error: WireError): void;
  /** What is in the storage has changed: the other tabs are to read it again. */
  stored(): void;
}

/** A conversation whose outbox is being sent. */
interface SendLoop {
  /** Ends a pause between two tries. */
  wake: AbortController;
}

/**
 * Brings the outbox to the server: in each conversation one message after the other, in their order, each again and again
 * under its tempId until it is acknowledged or refused for good. What holds one conversation up holds up no other. All tabs of
 * a user share the outbox and see what the others put into it; a tempId makes it harmless that two tabs send the same, and a
 * lock makes it rare.
 */
export class OutboxSender {
  readonly #store: Store;
  readonly #connection: Connection;
  readonly #storage: OutboxStorage;
  readonly #timing: Timing;
  readonly #observer: OutboxObserver;
  /** What is being stored. */
  readonly #puts = new Map<string, Promise<void>>();
  /** What is in the storage, as far as this tab knows: what is missing there was settled by another tab. */
  readonly #stored = new Set<string>();
  /** What is being removed from the storage. */
  readonly #removing = new Set<string>();
  /** For each question that the storage has not answered: what has left the outbox since. */
  readonly #loads = new Set<Set<string>>();
  readonly #loops = new Map<string, SendLoop>();
  readonly #rate = new SendRate();
  #outbox: readonly OutboxEntry[] = [];
  #session: AbortController | undefined;
  /** Operations that the storage has not answered in time: it is not asked again before it has. */
  #pendingTimeouts = 0;

  constructor(store: Store, connection: Connection, storage: OutboxStorage, timing: Timing, observer: OutboxObserver) {
    this.#store = store;
    this.#connection = connection;
    this.#storage = storage;
    this.#timing = timing;
    this.#observer = observer;
    store.subscribe(() => this.#onStateChange());
  }

  /** Reads what all tabs share: what was left unsent before a reload or by another tab, and what another tab has settled. */
  async restore(userId: string): Promise<void> {
    const before = [...this.#stored];
    // What leaves before the answer is there may still be in the answer.
    const left = new Set(this.#removing);
    this.#loads.add(left);
    let entries: OutboxEntry[];
    try {
      entries = await this.#runStorage(() => this.#storage.load(userId));
    } catch {
      // A browser without storage, in private mode for one: messages live as long as the page, and the state says so.
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
    // Acknowledged long since: the page was closed before the storage had let go of it.
    for (const { tempId } of entries) if (!left.has(tempId) && !this.#isInOutbox(tempId)) this.#remove(tempId);
  }

  /** Lets go of everything of a user's, also of what is just being stored. */
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

  /** Sends what waits, in each conversation in which that is not under way. */
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
    const lane: SendLoop = { wake: new AbortController() };
    this.#loops.set(conversationId, lane);
    let wait = firstRetry;
    for (let entry = this.#next(conversationId); entry && !session.aborted; entry = this.#next(conversationId)) {
      const { tempId, userId } = entry;
      await this.#waitForRate(session);
      const pause = await exclusively(
        `chat-outbox-${userId}-${conversationId}`,
        this.#timing.lockTimeout,
        // Meanwhile another tab may have sent it, and another one be the first.
        async () => (this.#next(conversationId)?.tempId === tempId && !session.aborted ? this.#sendOne(entry!) : 0),
        session,
      ).catch((failure: unknown) => {
        if (session.aborted) return 0;
        report(failure);
        return 'later' as const;
      });
      if (pause === 0) wait = firstRetry;
      else if (!session.aborted) {
        lane.wake = new AbortController();
        const end = () => lane.wake.abort();
        session.addEventListener('abort', end);
        await delay(pause === 'later' ? wait : pause, lane.wake.signal);
        session.removeEventListener('abort', end);
        wait = Math.min(maxRetry, wait * 2);
      }
    }

    this.#loops.delete(conversationId);
    // A connection may have come, or an entry, while the last round was ending.
    this.run();
  }

  /** Waits until the server's rate has room for one more. All conversations share it, as they do at the server. */
  async #waitForRate(session: AbortSignal): Promise<void> {
    do {
      const wait = this.#rate.take(this.#store.getState().me?.limits?.messagesPerSecond ?? Infinity);
      if (wait > 0) await delay(wait, session);
    } while (this.#rate.isHeld && !session.aborted);
  }

  /** Sends one entry; returns for how long not to send in its conversation. */
  async #sendOne(entry: OutboxEntry): Promise<number | 'later'> {
    const { tempId, conversationId, content } = entry;
    if (await this.#isSentElsewhere(tempId)) {
      this.#store.dispatch({ type: 'discarded', tempId });
      return 0;
    }

    // Meanwhile it may have been discarded, and something older have turned up.
    if (this.#next(conversationId)?.tempId !== tempId) return 0;

    // A frame that is too large ends the connection for good, and would do so after each reload.
    const maxFrameBytes = this.#store.getState().me?.limits?.maxFrameBytes ?? Infinity;
    const frame = { type: 'message.send', id: '0000000000', payload: { conversationId, content, tempId } };
    if (new TextEncoder().encode(JSON.stringify(frame)).length > maxFrameBytes) {
      this.#fail(entry, { code: 'VALIDATION_ERROR', message: 'The message is too long.', retryable: false, field: 'content' });
      return 0;
    }

    try {
      await this.#connection.request('message.send', { conversationId, content, tempId });
      // The answer has taken it out of the outbox, unless that was for another person's conversation of the same name.
      this.#store.dispatch({ type: 'discarded', tempId });
      return 0;
    } catch (failure) {
      if (!(failure instanceof ChatError)) throw failure;
      if (failure.retryable) {
        // One is told why it waits, and may discard it.
        if (failure.code !== 'OFFLINE') this.#store.dispatch({ type: 'delayed', tempId, error: failure.code });
        const { retryAfterMs } = failure.details;
        if (failure.code !== 'RATE_LIMITED') return retryAfterMs ?? 'later';
        // Other devices use the same rate up: what was told is when there is room for one, and each refusal counts.
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
          // A tab that was closed may have left something older, and had no time to say so.
          return this.restore(entry.userId);
        },
        () => {},
      )
      .then(() => {
        if (this.#puts.get(tempId) !== put) return;
        this.#puts.delete(tempId);
        // Settled while it was being stored.
        if (this.#removing.has(tempId)) this.#remove(tempId);
      });
    this.#puts.set(tempId, put);
  }

  /** The storage lets go of it. */
  #remove(tempId: string): void {
    this.#removing.add(tempId);
    for (const left of this.#loads) left.add(tempId);
    this.#stored.delete(tempId);
    // Just being stored: after that.
    if (this.#puts.has(tempId)) return;
    this.#runStorage(() => this.#storage.remove(tempId)).then(
      () => {
        this.#removing.delete(tempId);
        this.#observer.stored();
      },
      // Tried again when the storage works again. What stays by mistake is sent once more, and its tempId makes that harmless.
      () => {},
    );
  }

  /** Whether another tab has seen to it. */
  async #isSentElsewhere(tempId: string): Promise<boolean> {
    await this.#puts.get(tempId);
    if (!this.#stored.has(tempId)) return false;
    return this.#runStorage(() => this.#storage.has(tempId)).then((has) => !has, () => false);
  }

  /** Runs after each change of the state: sends what is new, and lets the storage go of what has left the outbox. */
  #onStateChange(): void {
    const { outbox, me } = this.#store.getState();
    if (outbox === this.#outbox) return;
    const before = this.#outbox;
    this.#outbox = outbox;
    const left = new Set(outbox.map((entry) => entry.tempId));
    for (const { tempId, userId, conversationId } of before) {
      // Another user's entries have not been settled: they wait in the storage for their return.
      if (left.has(tempId) || userId !== me?.userId) continue;
      this.#loops.get(conversationId)?.wake.abort();
      this.#remove(tempId);
    }

    this.run();
  }

  /** Asks the storage, which may fail or, as IndexedDB does at times, never answer. The state says whether it works. */
  async #runStorage<Result>(run: () => Promise<Result>): Promise<Result> {
    if (this.#pendingTimeouts > 0) throw new Error('The storage does not answer.');
    const asked = run();
    try {
      const result = await withTimeout(this.#timing.storageTimeout, () => asked, () => this.#onTimeout(asked));
      this.#store.dispatch({ type: 'storage', isWorking: true });
      return result;
    } catch (failure) {
      this.#store.dispatch({ type: 'storage', isWorking: false });
      throw failure;
    }
  }

  #onTimeout(asked: Promise<unknown>): void {
    this.#pendingTimeouts++;
    const end = () => {
      if (--this.#pendingTimeouts > 0) return;
      // It works again: what it could not take meanwhile is stored now.
      for (const entry of this.#store.getState().outbox) this.#put(entry);
      for (const tempId of this.#removing) this.#remove(tempId);
    };
    asked.then(end, end);
  }
}
