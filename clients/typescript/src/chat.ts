import { baseOf } from './address.js';
import { CacheKeeper } from './cache.js';
import { ChatError, type Chat, type ChatEvents, type ChatOptions, type Timing } from './client.js';
import { Connection } from './connection.js';
import { localDraftStorage, type DraftStorage } from './drafts.js';
import { ChatEmitter } from './events.js';
import { defaultPageSize, HistoryLoader } from './history.js';
import { browserNetwork } from './network.js';
import { indexedDbStorage, memoryStorage } from './outbox.js';
import { OutboxSender } from './outboxSender.js';
import { Receipts } from './receipts.js';
import { report } from './report.js';
import { createApi, type ChatApi } from './rest.js';
import type { ConnectionProblem, ConnectionState } from './state.js';
import { Store } from './store.js';
import { Synchronizer } from './synchronizer.js';
import { browserTabs, type TabChannel, type TabMessage, type Tabs } from './tabs.js';
import { TypingSignals } from './typing.js';
import { uuid } from './uuid.js';
import type { PersonRef, ServerEvent } from './wire.js';

const defaults: Timing = {
  backoffBase: 500,
  backoffCap: 30_000,
  stableAfter: 10_000,
  connectTimeout: 15_000,
  pingAfter: 20_000,
  pingTimeout: 8_000,
  probeTimeout: 5_000,
  suspectAfter: 3_000,
  storageTimeout: 3_000,
  lockTimeout: 5_000,
  replyTimeout: 15_000,
  renewBefore: 60_000,
  gapDelay: 50,
  cacheDelay: 1_000,
  receiptDelay: 200,
  typingEvery: 2_500,
  typingLasts: 60_000,
};

const isSignInProblem = (problem: ConnectionProblem | undefined) =>
  problem === 'SIGN_IN_REQUIRED' || problem === 'TOKEN_EXPIRED' || problem === 'TOKEN_INVALID';

/** Creates a chat. Nothing is connected before `start`. */
export const createChat = (options: ChatOptions): Chat => new ChatClient(options);

/**
 * Wires the parts together: each of them works on the store, and knows no more of the others than its constructor says. The public
 * methods are fields, so that they work without the object, too.
 */
class ChatClient implements Chat {
  readonly #store = new Store();
  readonly #events = new ChatEmitter();
  readonly #drafts: DraftStorage;
  readonly #tabs: Tabs;
  readonly #connection: Connection;
  readonly #outbox: OutboxSender;
  readonly #synchronizer: Synchronizer;
  readonly #history: HistoryLoader;
  readonly #receipts: Receipts;
  readonly #typing: TypingSignals;
  readonly #cache: CacheKeeper | undefined;
  /** The REST side, for what the state does not hold. */
  readonly api: ChatApi;
  #userId: string | undefined;
  #channel: TabChannel | undefined;
  /** What the last sign-out removes from the storage. */
  #removal: Promise<unknown> = Promise.resolve();

  constructor(options: ChatOptions) {
    const store = this.#store;
    const timing = { ...defaults, ...options.timing };
    const base = baseOf(options.url);
    const storage = options.storage ?? (typeof indexedDB === 'undefined' ? memoryStorage() : indexedDbStorage());
    this.#drafts = options.drafts ?? localDraftStorage();
    this.#tabs = options.tabs ?? browserTabs;
    this.api = createApi(options, base, timing.replyTimeout, (reason) => this.#connection.endSession(reason));
    this.#connection = new Connection(options, base, timing, options.network ?? browserNetwork(), {
      identified: (userId) => this.#identify(userId),
      changed: (connection) => this.#connectionChanged(connection),
      received: (event) => this.#receive(event),
      opened: ({ userId }) => this.#opened(userId),
    });
    this.#outbox = new OutboxSender(store, this.#connection, storage, timing, {
      failed: (entry, error) => this.#events.emit('outbox.failed', { entry, error }),
      stored: () => {
        if (this.#userId !== undefined) this.#channel?.post({ type: 'outbox', userId: this.#userId });
      },
    });
    this.#synchronizer = new Synchronizer(store, this.#connection, this.api, timing);
    this.#history = new HistoryLoader(store, this.api, this.#synchronizer, timing);
    this.#receipts = new Receipts(store, this.#connection, timing);
    this.#typing = new TypingSignals(store, this.#connection, timing);
    this.#cache = options.cache && new CacheKeeper(store, options.cache, timing);
    if (options.userId !== undefined) this.#identify(options.userId);
  }

  readonly getState = this.#store.getState;
  readonly subscribe = this.#store.subscribe;
  readonly on = <Type extends keyof ChatEvents>(type: Type, listener: (payload: ChatEvents[Type]) => void) =>
    this.#events.on(type, listener);

  readonly start = () => {
    this.#channel ??= this.#tabs((message) => this.#handleTabMessage(message));
    this.#connection.start();
  };

  readonly stop = () => {
    this.#connection.stop();
    this.#stopParts();
  };

  readonly signOut = () => this.#signOut(false);

  readonly signOutEverywhere = async () => {
    const userId = this.#userId;
    try {
      await this.api.signOutEverywhere();
    } catch (failure) {
      // The connection may be closed before the answer arrives, or instead of it, which says the same.
      if (userId === undefined || this.#userId === userId) throw failure;
    }

    if (this.#userId === userId) await this.#signOut(true);
    else await this.#removal;
  };

  readonly reconnect = () => this.#connection.reconnect();

  readonly open = async (person: PersonRef) => {
    const since = this.#store.getState().clock;
    const conversation = await this.api.openConversation(person);
    await this.#synchronizer.add(conversation, since);
    return conversation.id;
  };

  readonly load = (conversationId: string) => this.#history.load(conversationId);
  readonly loadOlder = (conversationId: string, limit = defaultPageSize) => this.#history.loadOlder(conversationId, limit);
  readonly retain = (conversationId: string) => this.#history.retain(conversationId);

  readonly send = (conversationId: string, content: string) => {
    const userId = this.#store.getState().me?.userId ?? this.#userId;
    if (userId === undefined) throw new ChatError('UNAUTHORIZED', 'Nobody is signed in yet.');
    const tempId = uuid();
    this.#typing.stop(conversationId);
    // Ascending, even if the clock was set back: entries are sent in this order.
    const last = this.#store.getState().outbox.at(-1)?.createdAt;
    const createdAt = new Date(Math.max(Date.now(), last === undefined ? 0 : Date.parse(last) + 1)).toISOString();
    this.#outbox.add({ tempId, userId, conversationId, content, createdAt, status: 'sending' });
    return tempId;
  };

  readonly retry = (tempId: string) => this.#outbox.retry(tempId);
  readonly discard = (tempId: string) => this.#store.dispatch({ type: 'discarded', tempId });

  readonly setDraft = (conversationId: string, content: string) => {
    const userId = this.#userId;
    if (userId === undefined) return;
    const draft = content.trim() === '' ? undefined : { content, changedAt: new Date().toISOString() };
    if (draft) this.#drafts.put(userId, conversationId, draft);
    else this.#drafts.remove(userId, conversationId);
    this.#store.dispatch({ type: 'draft', conversationId, draft });
    this.#channel?.post({ type: 'draft', userId, conversationId });
  };

  readonly markRead = (conversationId: string, upTo?: number) => this.#receipts.read(conversationId, upTo);
  readonly typing = (conversationId: string) => this.#typing.start(conversationId);
  readonly stopTyping = (conversationId: string) => this.#typing.stop(conversationId);

  readonly block = async (person: PersonRef) => {
    await this.#connection.request('block.add', person);
  };

  readonly unblock = async (person: PersonRef) => {
    await this.#connection.request('block.remove', person);
  };

  /** The user is known: load their drafts and unsent messages, before there is any connection. */
  #identify(userId: string): void {
    if (userId === this.#userId) return;
    if (this.#userId !== undefined) this.#receipts.reset();
    this.#userId = userId;
    this.#store.dispatch({ type: 'identified', userId });
    this.#store.dispatch({ type: 'drafts', drafts: this.#drafts.load(userId) });
    void this.#outbox.restore(userId);
    void this.#cache?.restore(userId);
  }

  #connectionChanged(connection: ConnectionState): void {
    const userId = this.#userId;
    if (connection.status !== 'online') {
      this.#outbox.closed();
      this.#synchronizer.closed();
    }

    // Whoever is no longer let in has nothing to read here either; after a new sign-in the server has it all.
    if (userId !== undefined && isSignInProblem(connection.problem)) void this.#cache?.clear(userId).catch(report);

    this.#store.dispatch({ type: 'connection', connection });
    this.#events.emit('connection', connection);
    if (userId !== undefined && connection.problem === 'REVOKED') {
      this.#stopParts();
      this.#removeData(userId, true).catch(report);
    }
  }

  #receive(event: ServerEvent): void {
    if (event.type === 'auth_success') {
      const { userId, limits, epoch } = event.payload;
      this.#identify(userId);
      this.#store.dispatch({ type: 'signedIn', me: { userId, limits }, epoch });
    }

    // The reducer ignores parts of an answer: whoever asked handles them, since they depend on the question.
    this.#store.dispatch({ type: 'event', event, now: Date.now() });
    if (event.type === 'block.added' || event.type === 'block.removed') this.#synchronizer.blocksChanged();
    if (event.type === 'message.new') this.#history.messageAdded(event.payload.message.conversationId);
    this.#events.emit(event.type, event.payload as never);
  }

  #opened(userId: string): void {
    this.#receipts.opened();
    this.#typing.opened();
    this.#synchronizer.opened();
    // Another tab may have left older messages, which go first.
    void this.#outbox.restore(userId).then(() => {
      if (this.#connection.isOnline) this.#outbox.opened();
    });
  }

  #handleTabMessage(message: TabMessage): void {
    if (message.userId !== this.#userId) return;
    switch (message.type) {
      case 'outbox':
        void this.#outbox.restore(message.userId);
        break;
      case 'draft': {
        const { userId, conversationId } = message;
        this.#store.dispatch({ type: 'draft', conversationId, draft: this.#drafts.get(userId, conversationId) });
        break;
      }
      case 'signedOut':
        // The other tab may have removed what this one was just about to store.
        this.stop();
        this.#removeData(message.userId, message.everywhere === true).catch(() => {});
        break;
    }
  }

  #stopParts(): void {
    this.#receipts.reset();
    this.#typing.reset();
    this.#cache?.stop();
    this.#channel?.close();
    this.#channel = undefined;
  }

  async #signOut(everywhere: boolean): Promise<void> {
    const userId = this.#userId;
    if (userId === undefined) return this.stop();
    this.#channel?.post({ type: 'signedOut', userId, everywhere });
    this.stop();
    await this.#removeData(userId, everywhere);
  }

  /** Removes what this device keeps of the user, once everything has stopped. */
  #removeData(userId: string, everywhere: boolean): Promise<unknown> {
    this.#userId = undefined;
    this.#store.dispatch({ type: 'signedOut' });
    for (const conversationId of Object.keys(this.#drafts.load(userId))) this.#drafts.remove(userId, conversationId);
    this.#events.emit('signedOut', { userId, everywhere });
    this.#removal = Promise.all([this.#outbox.clear(userId), this.#cache?.clear(userId)]);
    return this.#removal;
  }
}
