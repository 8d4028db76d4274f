import { ChatError, type Timing } from './client.js';
import type { Connection } from './connection.js';
import { delay } from './delay.js';
import { conversationsWithGaps } from './reducer.js';
import type { ChatApi } from './rest.js';
import type { Store } from './store.js';
import type { Conversation, MessagePage, Synchronize } from './wire.js';

const pageSize = 200;
const maxPages = 5;
const maxDelay = 30_000;
const settleTime = 500;

/** A longer gap in one conversation is not filled: it is reloaded with its latest messages. */
const maxGap = 1000;

const isGone = (failure: unknown) =>
  failure instanceof ChatError && (failure.code === 'FORBIDDEN' || failure.code === 'NOT_FOUND');

/** Bytes that surround an entry of a sync in its frame, and those of a frame without entries. */
const entryBytes = '"":,'.length;
const frameBytes = 300;

/** Splits a sync into frames of at most so many bytes: ranges of ids that together cover all, known or not. */
export function splitIntoFrames(known: Readonly<Record<string, number>>, maxFrameBytes: number): Synchronize[] {
  const parts: Record<string, number>[] = [{}];
  const lasts: string[] = [];
  let bytes = frameBytes;
  for (const id of Object.keys(known).sort()) {
    const position = known[id]!;
    const own = id.length + `${position}`.length + entryBytes;
    if (bytes + own > maxFrameBytes && bytes > frameBytes) {
      parts.push({});
      bytes = frameBytes;
    }

    bytes += own;
    parts[parts.length - 1]![id] = position;
    lasts[parts.length - 1] = id;
  }

  return parts.map((conversations, at) => ({
    conversations,
    ...(at > 0 && { after: lasts[at - 1]! }),
    ...(at < parts.length - 1 && { until: lasts[at]! }),
  }));
}

/**
 * Keeps the state in sync with the server: after each connection, and whenever a number shows a gap. Every step is idempotent, may fail
 * at any point, and is retried.
 */
export class Synchronizer {
  readonly #store: Store;
  readonly #connection: Connection;
  readonly #api: ChatApi;
  readonly #timing: Timing;
  #session: AbortController | undefined;
  #isReady = false;
  #isFillingGaps = false;
  /** Conversations that are being fetched, or could not be. */
  readonly #fetching = new Set<string>();

  constructor(store: Store, connection: Connection, api: ChatApi, timing: Timing) {
    this.#store = store;
    this.#connection = connection;
    this.#api = api;
    this.#timing = timing;
    store.subscribe(() => this.#onStateChange());
  }

  opened(): void {
    this.closed();
    this.#fetching.clear();
    const session = new AbortController();
    this.#session = session;
    void this.#recover(session.signal);
    void this.#retryUntilDone(session.signal, () => this.#loadBlocks());
  }

  closed(): void {
    this.#session?.abort();
    this.#session = undefined;
    this.#isReady = false;
  }

  /** Adds a conversation that was requested at clock `since`, and the presence of its members. */
  async add(conversation: Conversation, since: number): Promise<void> {
    this.#store.dispatch({ type: 'listed', conversations: [conversation], isLast: false, since });
    const { me, presence } = this.#store.getState();
    const unknown = conversation.members.map((member) => member.userId).filter((id) => id !== me?.userId && !presence[id]);
    if (unknown.length === 0) return;
    const { users } = await this.#api.presence(unknown.slice(0, pageSize));
    this.#store.dispatch({ type: 'presence', users });
  }

  async #recover(session: AbortSignal): Promise<void> {
    // Gaps in what is shown come first. Without the list, however, a sync would bring every conversation from its beginning: the
    // first time, the list comes first.
    if (this.#store.getState().listed) await this.#retryUntilDone(session, () => this.#sync());
    const listed = new Set<string>();
    await this.#retryUntilDone(session, () => this.#list(session, listed));
    await this.#checkUnlisted(session, listed);
    await this.#retryUntilDone(session, () => this.#sync());
    if (session.aborted) return;
    this.#isReady = true;
    this.#store.dispatch({ type: 'caughtUp' });
    this.#onStateChange();
  }

  async #list(session: AbortSignal, listed: Set<string>): Promise<void> {
    let cursor: string | undefined;
    do {
      const since = this.#store.getState().clock;
      const page = await this.#api.conversations({ limit: pageSize, ...(cursor !== undefined && { cursor }) });
      if (session.aborted) return;
      cursor = page.nextCursor;
      for (const { id } of page.conversations) listed.add(id);
      this.#store.dispatch({ type: 'listed', conversations: page.conversations, isLast: cursor === undefined, since });
    } while (cursor !== undefined);
  }

  /** Checks what was known and is not in the list: it may be gone, or have moved while the list was read. */
  async #checkUnlisted(session: AbortSignal, listed: ReadonlySet<string>): Promise<void> {
    for (const id of Object.keys(this.#store.getState().conversations))
      if (!listed.has(id)) {
        await this.#retryUntilDone(session, async () => {
          const since = this.#store.getState().clock;
          try {
            await this.add(await this.#api.conversation(id), since);
          } catch (failure) {
            if (isGone(failure)) this.#store.dispatch({ type: 'gone', conversationId: id });
            throw failure;
          }
        });
      }
  }

  async #loadBlocks(): Promise<void> {
    let clock: number;
    let blocks;
    do {
      ({ clock } = this.#store.getState());
      ({ blocks } = await this.#api.blocks());
      // A block was added or removed meanwhile, which the answer may lack.
    } while (this.#blocksChangedAt > clock);
    this.#store.dispatch({ type: 'blocks', blocks });
  }

  #blocksChangedAt = 0;

  /** A block was added or removed live. */
  blocksChanged(): void {
    this.#blocksChangedAt = this.#store.getState().clock;
  }

  /** One sync over all known conversations. */
  async #sync(): Promise<void> {
    const { conversations, clock, me } = this.#store.getState();
    const known: Record<string, number> = {};
    const far: string[] = [];
    for (const { id, seq, position } of Object.values(conversations)) {
      const isFar = seq - position > maxGap;
      if (isFar) far.push(id);
      known[id] = isFar ? seq : position;
    }

    for (const part of splitIntoFrames(known, me?.limits?.maxFrameBytes ?? Infinity)) {
      await this.#connection.request('sync', part, (event) => {
        if (event.type !== 'sync.conversation') return false;
        const found = event.payload;
        this.#store.dispatch({ type: 'synced', after: known[found.conversation.id] ?? 0, part: found, since: clock });
        return true;
      });
    }

    for (const id of far) await this.#reload(id);
  }

  async #reload(conversationId: string): Promise<void> {
    const since = this.#store.getState().clock;
    const loadedFrom = this.#store.getState().conversations[conversationId]?.loadedFrom ?? 0;
    const conversation = await this.#api.conversation(conversationId);
    let page: MessagePage = { messages: [], hasMore: conversation.seq > 0 };
    // As far back as before, within limits, so that nothing disappears while it is being read.
    for (let pages = 0; page.hasMore && pages < maxPages && (page.messages[0]?.seq ?? Infinity) > loadedFrom; pages++) {
      const older = await this.#api.messages(conversationId, { before: page.messages[0]?.seq ?? conversation.seq + 1, limit: pageSize });
      page = { messages: [...older.messages, ...page.messages], hasMore: older.hasMore };
    }

    this.#store.dispatch({ type: 'replaced', conversation, page, since });
  }

  /** Runs after each change of the state. */
  #onStateChange(): void {
    const session = this.#session?.signal;
    if (!this.#isReady || !session) return;
    for (const id of Object.keys(this.#store.getState().pendingEvents)) void this.#fetchUnknown(id, session);
    if (!this.#isFillingGaps && conversationsWithGaps(this.#store.getState()).length > 0) void this.#fillGaps(session);
  }

  /** Another user has opened a conversation. */
  async #fetchUnknown(conversationId: string, session: AbortSignal): Promise<void> {
    if (this.#fetching.has(conversationId)) return;
    this.#fetching.add(conversationId);
    await this.#retryUntilDone(session, async () => {
      const since = this.#store.getState().clock;
      await this.add(await this.#api.conversation(conversationId), since);
    });
    // One that could not be fetched stays in the set, or it would be requested again at every change.
    if (this.#store.getState().conversations[conversationId]) this.#fetching.delete(conversationId);
  }

  /**
   * Syncs until there is no gap. The server does not send again what it has pushed on this connection, so if a sync brings nothing new,
   * the conversation is reloaded.
   */
  async #fillGaps(session: AbortSignal): Promise<void> {
    this.#isFillingGaps = true;
    let wait = this.#timing.gapDelay;
    for (;;) {
      await delay(wait, session);
      if (session.aborted || conversationsWithGaps(this.#store.getState()).length === 0) break;
      const before = this.#totalPosition();
      await this.#retryUntilDone(session, () => this.#sync());
      if (this.#totalPosition() > before) continue;
      await delay(settleTime, session);
      for (const { id } of conversationsWithGaps(this.#store.getState())) await this.#retryUntilDone(session, () => this.#reload(id));
      wait = Math.min(maxDelay, wait * 2 + settleTime);
    }

    this.#isFillingGaps = false;
    // A new connection may have been opened while this loop was running.
    this.#onStateChange();
  }

  #totalPosition(): number {
    return Object.values(this.#store.getState().conversations).reduce((sum, { position }) => sum + position, 0);
  }

  /** Retries until it succeeds, the connection is closed, or the failure is permanent. */
  async #retryUntilDone(session: AbortSignal, run: () => Promise<void>): Promise<void> {
    for (let wait = 1000; !session.aborted; wait = Math.min(maxDelay, wait * 2)) {
      try {
        await run();
        return;
      } catch (failure) {
        if (!(failure instanceof ChatError)) throw failure;
        // It no longer exists, or is no longer the user's.
        if (isGone(failure)) return;
        if (!session.aborted) await delay(failure.details.retryAfterMs ?? wait, session);
      }
    }
  }
}
