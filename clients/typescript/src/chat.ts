import { baseOf } from './address.js';
import { CacheKeeper } from './cache.js';
import { Synchronizer } from './synchronizer.js';
import { ChatError, type Chat, type ChatEvents, type ChatOptions, type Timing } from './client.js';
import { localDraftStorage } from './drafts.js';
import { Connection } from './connection.js';
import { browserNetwork } from './network.js';
import { indexedDbStorage, memoryStorage } from './outbox.js';
import { Receipts } from './receipts.js';
import { report } from './report.js';
import { createApi } from './rest.js';
import { hasOlder } from './selectors.js';
import { OutboxSender } from './outboxSender.js';
import type { ConnectionProblem } from './state.js';
import { Store } from './store.js';
import { browserTabs, type TabChannel, type TabMessage } from './tabs.js';
import { TypingSignals } from './typing.js';
import { uuid } from './uuid.js';
import type { PersonRef } from './wire.js';

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

const isAboutSignIn = (problem: ConnectionProblem | undefined) => problem === 'SIGN_IN_REQUIRED' || problem === 'TOKEN_EXPIRED' || problem === 'TOKEN_INVALID';

const defaultPage = 50;
/** Of a conversation that nobody shows: so many messages are kept, once there are more than the second number. */
const keptMessages = 200;
const mostMessages = 1_000;

/** Makes a chat. Nothing is connected before `start`. */
export function createChat(options: ChatOptions): Chat {
  const timing = { ...defaults, ...options.timing };
  const storage = options.storage ?? (typeof indexedDB === 'undefined' ? memoryStorage() : indexedDbStorage());
  const drafts = options.drafts ?? localDraftStorage();
  const tabs = options.tabs ?? browserTabs;
  const store = new Store();
  const base = baseOf(options.url);
  const api = createApi(options, base, timing.replyTimeout, (reason) => link.endSession(reason));
  const listeners = new Map<string, Set<(payload: never) => void>>();
  const loads = new Map<string, Promise<void>>();
  const pages = new Map<string, Promise<void>>();
  const retained = new Map<string, number>();
  let identified: string | undefined;
  let channel: TabChannel | undefined;
  /** What the last sign-out removes from the storage. */
  let removal: Promise<unknown> = Promise.resolve();

  function emit<Type extends keyof ChatEvents>(type: Type, payload: ChatEvents[Type]): void {
    for (const listener of listeners.get(type) ?? []) {
      try {
        (listener as (payload: ChatEvents[Type]) => void)(payload);
      } catch (failure) {
        report(failure);
      }
    }
  }

  /** It is known whose chat this is: their drafts and unsent messages are there before any connection. */
  function identify(userId: string): void {
    if (userId === identified) return;
    if (identified !== undefined) receipts.forget();
    identified = userId;
    store.dispatch({ type: 'identified', userId });
    store.dispatch({ type: 'drafts', drafts: drafts.load(userId) });
    void sender.restore(userId);
    void cache?.restore(userId);
  }

  function told(message: TabMessage): void {
    if (message.userId !== identified) return;
    switch (message.type) {
      case 'outbox':
        void sender.restore(message.userId);
        break;
      case 'draft': {
        const { userId, conversationId } = message;
        store.dispatch({ type: 'draft', conversationId, draft: drafts.get(userId, conversationId) });
        break;
      }
      case 'signedOut':
        // The other tab may have removed what this one was just about to store.
        void forget(message.userId, message.everywhere === true).catch(() => {});
        break;
    }
  }

  function stop(): void {
    link.stop();
    rest();
  }

  function rest(): void {
    receipts.forget();
    typing.forget();
    cache?.stop();
    channel?.close();
    channel = undefined;
  }

  /** Removes what this device keeps of the user. The connection is closed, or about to be. */
  function remove(userId: string, everywhere: boolean): Promise<unknown> {
    identified = undefined;
    store.dispatch({ type: 'signedOut' });
    for (const conversationId of Object.keys(drafts.load(userId))) drafts.remove(userId, conversationId);
    emit('signedOut', { userId, everywhere });
    removal = Promise.all([sender.forget(userId), cache?.forget(userId)]);
    return removal;
  }

  async function forget(userId: string, everywhere: boolean): Promise<void> {
    stop();
    await remove(userId, everywhere);
  }

  async function signOut(everywhere: boolean): Promise<void> {
    const userId = identified;
    if (userId === undefined) return stop();
    const last = channel;
    channel = undefined;
    last?.post({ type: 'signedOut', userId, everywhere });
    last?.close();
    await forget(userId, everywhere);
  }

  const link = new Connection(options, base, timing, options.network ?? browserNetwork(), {
    identified: identify,
    changed(connection) {
      if (connection.status !== 'online') {
        sender.closed();
        catchUp.closed();
      }

      // Who is not let in any more has nothing to read here either; whoever signs in again gets it from the server.
      if (identified !== undefined && connection.status === 'rejected' && isAboutSignIn(connection.problem)) void cache?.forget(identified).catch(report);

      store.dispatch({ type: 'connection', connection });
      emit('connection', connection);
      if (identified !== undefined && connection.problem === 'REVOKED') {
        rest();
        remove(identified, true).catch(report);
      }
    },
    received(event) {
      if (event.type === 'auth_success') {
        const { userId, limits, epoch } = event.payload;
        identify(userId);
        store.dispatch({ type: 'signedIn', me: { userId, limits }, epoch });
      }

      // A part of an answer is taken in by whoever has asked: it depends on the question.
      store.dispatch({ type: 'event', event, now: Date.now() });
      if (event.type === 'block.added' || event.type === 'block.removed') catchUp.blockTold();
      if (event.type === 'message.new') trim(event.payload.message.conversationId, mostMessages);
      emit(event.type, event.payload as never);
    },
    opened({ userId }) {
      receipts.opened();
      typing.opened();
      catchUp.opened();
      // Another tab may have left something: older messages first.
      void sender.restore(userId).then(() => {
        if (link.isOnline) sender.opened();
      });
    },
  });
  const sender = new OutboxSender(store, link, storage, timing, {
    failed: (entry, error) => emit('outbox.failed', { entry, error }),
    stored() {
      if (identified !== undefined) channel?.post({ type: 'outbox', userId: identified });
    },
  });
  const catchUp = new Synchronizer(store, link, api, timing);
  const receipts = new Receipts(store, link, timing);
  const cache = options.cache && new CacheKeeper(store, options.cache, timing);
  const typing = new TypingSignals(store, link, timing);
  if (options.userId !== undefined) identify(options.userId);

  function trim(conversationId: string, most = keptMessages): void {
    const count = store.getState().conversations[conversationId]?.messages.length ?? 0;
    if (!retained.has(conversationId) && count > most) store.dispatch({ type: 'trimmed', conversationId, keep: keptMessages });
  }

  /** One at a time for each conversation; who asks meanwhile gets the same answer. */
  function once(running: Map<string, Promise<void>>, key: string, run: () => Promise<void>): Promise<void> {
    const known = running.get(key);
    if (known) return known;
    const started = run().finally(() => running.delete(key));
    running.set(key, started);
    return started;
  }

  async function loadOlder(conversationId: string, limit: number): Promise<void> {
    const conversation = store.getState().conversations[conversationId];
    if (!conversation || !hasOlder(conversation)) return;
    const { loadedFrom } = conversation;
    store.dispatch({ type: 'loading', conversationId, history: 'loading' });
    try {
      const page = await api.messages(conversationId, { before: loadedFrom, limit });
      store.dispatch({ type: 'history', conversationId, before: loadedFrom, page });
      store.dispatch({ type: 'loading', conversationId, history: 'idle' });
    } catch (failure) {
      store.dispatch({ type: 'loading', conversationId, history: 'failed' });
      throw failure;
    }
  }

  async function load(conversationId: string): Promise<void> {
    if (!store.getState().conversations[conversationId]) {
      const since = store.getState().clock;
      await catchUp.take(await api.conversation(conversationId), since);
    }

    const conversation = store.getState().conversations[conversationId];
    if (conversation && conversation.messages.length < defaultPage) await once(pages, conversationId, () => loadOlder(conversationId, defaultPage));
  }

  /** Repeats what fails for want of a connection, as soon as there is one. */
  async function whenConnected(run: () => Promise<void>): Promise<void> {
    for (;;) {
      const tried = store.getState().connection;
      try {
        await run();
        return;
      } catch (failure) {
        if (!(failure instanceof ChatError) || !failure.retryable) throw failure;
      }

      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, timing.backoffCap);
        const unsubscribe = store.subscribe(() => {
          const { connection } = store.getState();
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

  const discard = (tempId: string) => store.dispatch({ type: 'dropped', tempId });

  return {
    getState: store.getState,
    subscribe: store.subscribe,
    on(type, listener) {
      const own = (payload: never) => listener(payload);
      const known = listeners.get(type) ?? new Set();
      listeners.set(type, known.add(own));
      return () => known.delete(own);
    },

    start() {
      channel ??= tabs(told);
      link.start();
    },
    stop,
    signOut: () => signOut(false),
    async signOutEverywhere() {
      const userId = identified;
      try {
        await api.signOutEverywhere();
      } catch (failure) {
        // This connection's end may come before the answer, or in its place, and says the same.
        if (userId === undefined || identified === userId) throw failure;
      }

      if (identified === userId) await signOut(true);
      else await removal;
    },
    reconnect: () => link.reconnect(),

    async open(person: PersonRef) {
      const since = store.getState().clock;
      const conversation = await api.openConversation(person);
      await catchUp.take(conversation, since);
      return conversation.id;
    },
    load: (conversationId) => once(loads, conversationId, () => whenConnected(() => load(conversationId))),
    loadOlder: (conversationId, limit = defaultPage) => once(pages, conversationId, () => loadOlder(conversationId, limit)),

    retain(conversationId) {
      retained.set(conversationId, (retained.get(conversationId) ?? 0) + 1);
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        const left = retained.get(conversationId)! - 1;
        if (left > 0) retained.set(conversationId, left);
        else retained.delete(conversationId);
        trim(conversationId);
      };
    },

    send(conversationId, content) {
      const userId = store.getState().me?.userId ?? identified;
      if (userId === undefined) throw new ChatError('UNAUTHORIZED', 'Nobody is signed in yet.');
      const tempId = uuid();
      typing.stop(conversationId);
      // In the order of sending, also where the clock was set back.
      const last = store.getState().outbox.at(-1)?.createdAt;
      const createdAt = new Date(Math.max(Date.now(), last === undefined ? 0 : Date.parse(last) + 1)).toISOString();
      sender.add({ tempId, userId, conversationId, content, createdAt, status: 'sending' });
      return tempId;
    },
    retry: (tempId) => sender.retry(tempId),
    discard,
    setDraft(conversationId, content) {
      if (identified === undefined) return;
      const draft = content.trim() === '' ? undefined : { content, changedAt: new Date().toISOString() };
      if (draft) drafts.put(identified, conversationId, draft);
      else drafts.remove(identified, conversationId);
      store.dispatch({ type: 'draft', conversationId, draft });
      channel?.post({ type: 'draft', userId: identified, conversationId });
    },

    markRead: (conversationId, upTo) => receipts.read(conversationId, upTo),
    typing: (conversationId) => typing.start(conversationId),
    stopTyping: (conversationId) => typing.stop(conversationId),

    async block(person) {
      await link.request('block.add', person);
    },
    async unblock(person) {
      await link.request('block.remove', person);
    },

    api,
  };
}
