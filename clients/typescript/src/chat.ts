import { CatchUp } from './catchup.js';
import { ChatError, type Chat, type ChatEvents, type ChatOptions, type Timing } from './client.js';
import { Link } from './link.js';
import { browserNetwork } from './network.js';
import { indexedDbStorage, memoryStorage } from './outbox.js';
import { Receipts } from './receipts.js';
import { createApi } from './rest.js';
import { hasOlder } from './selectors.js';
import { Sender } from './sender.js';
import { Store } from './store.js';
import { TypingSignals } from './typing.js';
import type { PersonRef } from './wire.js';

const defaults: Timing = {
  backoffBase: 500,
  backoffCap: 30_000,
  stableAfter: 10_000,
  connectTimeout: 15_000,
  pingAfter: 20_000,
  pingTimeout: 8_000,
  replyTimeout: 15_000,
  renewBefore: 60_000,
  gapDelay: 50,
  receiptDelay: 200,
  typingEvery: 2_500,
  typingLasts: 60_000,
};

const defaultPage = 50;

/** Makes a chat. Nothing is connected before `start`. */
export function createChat(options: ChatOptions): Chat {
  const timing = { ...defaults, ...options.timing };
  const storage = options.storage ?? (typeof indexedDB === 'undefined' ? memoryStorage() : indexedDbStorage());
  const store = new Store();
  const api = createApi(options, timing.replyTimeout);
  const listeners = new Map<string, Set<(payload: never) => void>>();
  const loads = new Map<string, Promise<void>>();
  const pages = new Map<string, Promise<void>>();
  let identified: string | undefined;

  function emit<Type extends keyof ChatEvents>(type: Type, payload: ChatEvents[Type]): void {
    for (const listener of listeners.get(type) ?? []) {
      try {
        (listener as (payload: ChatEvents[Type]) => void)(payload);
      } catch (failure) {
        // A fault of the application's: it is to be seen there, and must not end the handling of the event here.
        queueMicrotask(() => {
          throw failure;
        });
      }
    }
  }

  const link = new Link(options, timing, options.network ?? browserNetwork(), {
    identified(userId) {
      if (userId === identified) return;
      if (identified !== undefined) receipts.forget();
      identified = userId;
      store.dispatch({ type: 'identified', userId });
      void sender.restore(userId);
    },
    changed(connection) {
      if (connection.status !== 'online') {
        sender.closed();
        catchUp.closed();
      }

      store.dispatch({ type: 'connection', connection });
      emit('connection', connection);
    },
    received(event) {
      if (event.type === 'auth_success') {
        const { userId, limits, epoch } = event.payload;
        this.identified(userId);
        store.dispatch({ type: 'signedIn', me: { userId, limits }, epoch });
      }

      // A part of an answer is taken in by whoever has asked: it depends on the question.
      store.dispatch({ type: 'event', event, now: Date.now() });
      if (event.type === 'block.added' || event.type === 'block.removed') catchUp.blockTold();
      emit(event.type, event.payload as never);
    },
    opened({ userId }) {
      receipts.opened();
      typing.opened();
      catchUp.opened();
      // Another tab may have left something.
      void sender.restore(userId).then(() => sender.run());
      sender.opened();
    },
  });
  const sender = new Sender(store, link, storage, (entry, error) => emit('outbox.failed', { entry, error }));
  const catchUp = new CatchUp(store, link, api, timing);
  const receipts = new Receipts(store, link, timing);
  const typing = new TypingSignals(store, link, timing);

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

  return {
    getState: store.getState,
    subscribe: store.subscribe,
    on(type, listener) {
      const own = (payload: never) => listener(payload);
      const known = listeners.get(type) ?? new Set();
      listeners.set(type, known.add(own));
      return () => known.delete(own);
    },

    start: () => link.start(),
    stop() {
      link.stop();
      receipts.forget();
      typing.forget();
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

    send(conversationId, content) {
      const userId = store.getState().me?.userId ?? identified;
      if (userId === undefined) throw new ChatError('UNAUTHORIZED', 'Nobody is signed in yet.');
      const tempId = crypto.randomUUID();
      typing.stop(conversationId);
      sender.add({ tempId, userId, conversationId, content, createdAt: new Date().toISOString(), status: 'sending' });
      return tempId;
    },
    retry: (tempId) => sender.retry(tempId),
    drop: (tempId) => store.dispatch({ type: 'dropped', tempId }),

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
