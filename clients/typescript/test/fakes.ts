import { createChat, memoryStorage, type Chat, type ChatOptions, type Network, type TabMessage, type Tabs, type WebSocketLike } from '../src/index.js';
import type { ClientEvents, Envelope, ServerEvents } from '../src/wire.js';

export const userId = '00000000-0000-4000-8000-000000000001';

/** A token that expires so many seconds from now, by the test's clock. */
export function token(seconds = 3600, name = '', sub = userId): string {
  const body = { sub, exp: Math.floor(Date.now() / 1000) + seconds, name };
  return `e30.${btoa(JSON.stringify(body))}.`;
}

type Sent = { [Type in keyof ClientEvents]: Envelope<Type, ClientEvents[Type]> }[keyof ClientEvents];

/** A socket whose server side is the test. */
export class FakeSocket implements WebSocketLike {
  readyState = 0;
  closedWith: number | undefined;
  isClosed = false;
  readonly sent: Sent[] = [];
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;

  constructor(readonly url: string, readonly answer: (socket: FakeSocket, event: Sent) => void) {}

  send(data: string): void {
    const event = JSON.parse(data) as Sent;
    this.sent.push(event);
    this.answer(this, event);
  }

  close(code?: number): void {
    this.isClosed = true;
    this.closedWith = code;
    this.readyState = 3;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.({} as never);
  }

  push<Type extends keyof ServerEvents>(type: Type, payload: ServerEvents[Type], id?: string): void {
    this.onmessage?.({ data: JSON.stringify({ type, ...(id !== undefined && { id }), payload }) } as never);
  }

  /** The server closes the socket. */
  serverCloses(code: number, reason = ''): void {
    this.readyState = 3;
    this.onclose?.({ code, reason } as never);
  }

  accept(epoch = 'epoch', at = Date.now()): void {
    this.push('auth_success', {
      userId,
      connectionId: 'c',
      connectedAt: new Date(at).toISOString(),
      epoch,
      heartbeat: { pingSeconds: 30, timeoutSeconds: 45 },
      limits: { maxFrameBytes: 65536, maxContentLength: 4000, messagesPerSecond: 1000, sendQueue: 256 },
    });
  }
}

/** Answers sign-ins, pings and syncs of a user without conversations. */
export function answerDefaults(socket: FakeSocket, event: Sent): void {
  if (event.type === 'auth') socket.accept();
  if (event.type === 'ping') socket.push('pong', { timestamp: event.payload.timestamp ?? Date.now(), serverTime: new Date(Date.now()).toISOString() }, event.id);
  if (event.type === 'sync') socket.push('sync.done', { conversations: 0 }, event.id);
}

export class FakeNetwork implements Network {
  #isOnline = true;
  readonly #listeners = new Set<() => void>();

  isOnline = () => this.#isOnline;

  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  set(isOnline: boolean): void {
    this.#isOnline = isOnline;
    for (const listener of this.#listeners) listener();
  }
}

/** A chat with fakes for everything around it. */
export function createTestChat(own: Partial<ChatOptions> & { answer?: typeof answerDefaults; rest?: (path: string) => unknown } = {}) {
  const sockets: FakeSocket[] = [];
  const network = new FakeNetwork();
  const { answer = answerDefaults, rest, ...options } = own;
  class Socket extends FakeSocket {
    constructor(url: string) {
      super(url, answer);
      sockets.push(this);
    }
  }

  const nothing: Record<string, unknown> = { '/chat/conversations': { conversations: [] }, '/chat/blocks': { blocks: [] }, '/chat/presence': { users: [] } };
  const chat: Chat = createChat({
    url: 'https://chat.test/base',
    token: async () => token(),
    storage: memoryStorage(),
    WebSocket: Socket,
    network,
    random: () => 1,
    fetch: async (input) => {
      const { pathname } = new URL(String(input));
      const path = pathname.replace('/base', '');
      const body = (await rest?.(path)) ?? nothing[path];
      return body instanceof Response ? body : body === undefined ? new Response('', { status: 404 }) : Response.json(body);
    },
    ...options,
  });
  return { chat, sockets, network, last: () => sockets.at(-1)!, status: () => chat.getState().connection.status };
}

/** Web Locks, as far as the client uses them. */
export function fakeLocks() {
  const queues = new Map<string, (() => void)[]>();
  const holders = new Map<string, { reject: (failure: unknown) => void }>();
  const stolen = () => new DOMException('stolen', 'AbortError');
  return {
    async request(name: string, { signal, steal }: { signal?: AbortSignal; steal?: boolean }, run: () => Promise<unknown>) {
      const queue = queues.get(name) ?? [];
      queues.set(name, queue);
      if (steal) holders.get(name)?.reject(stolen());
      else if (holders.has(name))
        await new Promise<void>((resolve, reject) => {
          queue.push(resolve);
          signal?.addEventListener('abort', () => {
            queue.splice(queue.indexOf(resolve), 1);
            reject(signal.reason);
          });
        });
      const own = { reject: (_: unknown) => {} };
      const taken = new Promise((_, reject) => (own.reject = reject));
      holders.set(name, own);
      try {
        return await Promise.race([run(), taken]);
      } finally {
        if (holders.get(name) === own) {
          holders.delete(name);
          queue.shift()?.();
        }
      }
    },
  };
}

/** localStorage, as far as the client uses it. */
export class FakeStorage {
  readonly #values = new Map<string, string>();
  get length() {
    return this.#values.size;
  }
  key = (index: number) => [...this.#values.keys()][index] ?? null;
  getItem = (key: string) => this.#values.get(key) ?? null;
  setItem = (key: string, value: string) => void this.#values.set(key, value);
  removeItem = (key: string) => void this.#values.delete(key);
}

/** The tabs of one browser: each receives the messages of the others. */
export function fakeTabs(): Tabs {
  const listeners = new Set<(message: TabMessage) => void>();
  return (listener) => {
    listeners.add(listener);
    return {
      post(message) {
        for (const other of listeners) if (other !== listener) queueMicrotask(() => other(structuredClone(message)));
      },
      close: () => void listeners.delete(listener),
    };
  };
}
