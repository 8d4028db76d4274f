import { delayOf, verdictOf } from './backoff.js';
import { ChatError, type ChatOptions, type Timing, type WebSocketLike } from './client.js';
import type { Network } from './network.js';
import type { ConnectionState } from './state.js';
import { claimsOf } from './token.js';
import type { AuthSuccess, ClientEvents, ServerEvent, WireError } from './wire.js';

const open = 1;
const longestTimer = 2 ** 31 - 1;

/** What a link tells. */
export interface LinkObserver {
  /** A token is at hand, signed in or not: whose it is. */
  identified(userId: string): void;
  changed(connection: ConnectionState): void;
  /** Each event, before whoever waits for it gets it. */
  received(event: ServerEvent): void;
  /** Signed in: live events arrive from here on. */
  opened(success: AuthSuccess): void;
}

interface Pending {
  readonly resolve: (event: ServerEvent) => void;
  readonly reject: (failure: ChatError) => void;
  readonly timer: ReturnType<typeof setTimeout>;
  /** Gets the parts of an answer of many; says whether this was one. */
  readonly isPart: ((event: ServerEvent) => boolean) | undefined;
}

/**
 * One connection after the other: opens a socket, signs in, keeps the token fresh, notices when the other end is gone,
 * and comes back as the close codes say. Knows nothing of what is said over it.
 */
export class Link {
  readonly #options: ChatOptions;
  readonly #timing: Timing;
  readonly #network: Network;
  readonly #observer: LinkObserver;
  readonly #random: () => number;
  readonly #pending = new Map<string, Pending>();
  readonly #timers = new Map<'retry' | 'open' | 'life' | 'renew', ReturnType<typeof setTimeout>>();
  #state: ConnectionState = { status: 'idle', attempt: 0 };
  #socket: WebSocketLike | undefined;
  /** Changes with each try, so that what belongs to an older one is known to be late. */
  #try = 0;
  #lastId = 0;
  #attempt = 0;
  #onlineSince: number | undefined;
  #heardAt = 0;
  #token = '';
  #expiredToken: string | undefined;
  /** How far this device's clock is behind the server's. */
  #skew = 0;
  #unsubscribe: (() => void) | undefined;

  constructor(options: ChatOptions, timing: Timing, network: Network, observer: LinkObserver) {
    this.#options = options;
    this.#timing = timing;
    this.#network = network;
    this.#observer = observer;
    this.#random = options.random ?? Math.random;
  }

  get isOnline(): boolean {
    return this.#state.status === 'online';
  }

  get state(): ConnectionState {
    return this.#state;
  }

  start(): void {
    this.#unsubscribe ??= this.#network.subscribe(() => this.#networkChanged());
    if (this.#state.status === 'idle' || this.#state.status === 'refused') {
      this.#attempt = 0;
      this.#expiredToken = undefined;
      this.#connectOrWait();
    }
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#attempt = 0;
    this.#end('stopped', 1000);
    this.#show({ status: 'idle', attempt: 0 });
  }

  /** Does not wait any longer; where all seems well, makes sure that it is. */
  reconnect(): void {
    const { status } = this.#state;
    if (status === 'waiting' || status === 'offline') this.#connectOrWait();
    else if (status === 'online') this.#askForLife();
    else if (status !== 'connecting') this.start();
  }

  /** Says something that has no answer. False: there is no connection. */
  send<Type extends keyof ClientEvents>(type: Type, payload: ClientEvents[Type], id?: string): boolean {
    if (!this.isOnline) return false;
    return this.#write({ type, ...(id !== undefined && { id }), payload });
  }

  /** Says something and waits for the answer. An error is thrown, as is the want of an answer. */
  request<Type extends keyof ClientEvents>(type: Type, payload: ClientEvents[Type], isPart?: (event: ServerEvent) => boolean): Promise<ServerEvent> {
    const id = String(++this.#lastId);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new ChatError('OFFLINE', 'No answer in time.'));
      }, this.#timing.replyTimeout);
      this.#pending.set(id, { resolve, reject, timer, isPart });
      if (!this.send(type, payload, id)) {
        clearTimeout(timer);
        this.#pending.delete(id);
        reject(new ChatError('OFFLINE', 'Not connected.'));
      }
    });
  }

  #connectOrWait(): void {
    if (this.#network.isOnline()) void this.#connect();
    else {
      this.#end('offline');
      this.#show({ status: 'offline', attempt: this.#attempt });
    }
  }

  async #connect(): Promise<void> {
    this.#end('another try');
    const turn = ++this.#try;
    this.#show({ status: 'connecting', attempt: this.#attempt });
    this.#after('open', this.#timing.connectTimeout, () => this.#lost(undefined, 'no connection in time'));
    let token: string;
    try {
      token = await this.#options.token();
    } catch (failure) {
      if (turn === this.#try) this.#lost(undefined, `no token: ${failure instanceof Error ? failure.message : String(failure)}`);
      return;
    }

    if (turn !== this.#try) return;
    if (token === this.#expiredToken) {
      this.#refuse(4501, 'the token has run out');
      return;
    }

    this.#token = token;
    const { sub } = claimsOf(token);
    if (sub) this.#observer.identified(sub);
    this.#openSocket(turn);
  }

  #openSocket(turn: number): void {
    const url = new URL(this.#options.url);
    url.protocol = url.protocol.replace('http', 'ws');
    url.pathname = `${url.pathname.replace(/\/$/, '')}/chat/ws`;
    const Socket = this.#options.WebSocket ?? WebSocket;
    const socket = new Socket(url.href);
    this.#socket = socket;
    socket.onopen = () => {
      if (turn === this.#try) this.#write({ type: 'auth', payload: { token: this.#token } });
    };
    socket.onmessage = (event: { readonly data: unknown }) => {
      if (turn === this.#try && typeof event.data === 'string') this.#read(event.data);
    };
    socket.onclose = (event: { readonly code: number; readonly reason: string }) => {
      if (turn === this.#try) this.#lost(event.code, event.reason);
    };
    // A close follows, which says more.
    socket.onerror = () => {};
  }

  #write(frame: { type: string; id?: string; payload: unknown }): boolean {
    if (this.#socket?.readyState !== open) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #read(data: string): void {
    this.#heardAt = Date.now();
    const event = JSON.parse(data) as ServerEvent;
    if (event.type === 'auth_failed') this.#expiredToken = event.payload.code === 'TOKEN_EXPIRED' ? this.#token : undefined;
    this.#observer.received(event);
    if (event.type === 'auth_success') this.#signedIn(event.payload);
    const waiting = event.id === undefined ? undefined : this.#pending.get(event.id);
    if (!waiting || waiting.isPart?.(event)) return;
    clearTimeout(waiting.timer);
    this.#pending.delete(event.id!);
    if (event.type === 'error') waiting.reject(errorOf(event.payload));
    else waiting.resolve(event);
  }

  #signedIn(success: AuthSuccess): void {
    this.#expiredToken = undefined;
    const isFirst = !this.isOnline;
    if (isFirst) {
      this.#clear('open');
      this.#skew = Date.parse(success.connectedAt) - Date.now();
      this.#onlineSince = Date.now();
      this.#watchLife();
    }

    this.#planRenewal();
    if (!isFirst) return;
    this.#show({ status: 'online', attempt: this.#attempt });
    this.#observer.opened(success);
  }

  #planRenewal(): void {
    const { exp } = claimsOf(this.#token);
    if (exp === undefined) return;
    const left = exp * 1000 - (Date.now() + this.#skew);
    // A token that is short-lived is renewed half-way.
    this.#after('renew', Math.max(1000, left - Math.min(this.#timing.renewBefore, left / 2)), () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const turn = this.#try;
    let token = this.#token;
    try {
      token = await this.#options.token();
    } catch {
      // Not now, then: it is asked for again below, and in the end by a 4401.
    }

    if (turn !== this.#try || !this.isOnline) return;
    if (token === this.#token) {
      this.#planRenewal();
      return;
    }

    this.#token = token;
    this.#write({ type: 'auth', payload: { token } });
  }

  #watchLife(): void {
    this.#after('life', this.#timing.pingAfter, () => {
      if (Date.now() - this.#heardAt < this.#timing.pingAfter) this.#watchLife();
      else this.#askForLife();
    });
  }

  /** A dead connection can look well for many minutes; a question that nobody answers tells. */
  #askForLife(): void {
    const askedAt = Date.now();
    this.send('ping', {});
    this.#after('life', this.#timing.pingTimeout, () => {
      if (this.#heardAt >= askedAt) this.#watchLife();
      else this.#lost(undefined, 'no sign of life');
    });
  }

  #networkChanged(): void {
    const { status } = this.#state;
    if (status === 'idle' || status === 'refused') return;
    if (!this.#network.isOnline()) this.#connectOrWait();
    else this.reconnect();
  }

  #lost(code: number | undefined, reason: string): void {
    const wasStable = this.#onlineSince !== undefined && Date.now() - this.#onlineSince >= this.#timing.stableAfter;
    if (wasStable) this.#attempt = 0;
    this.#end(reason);
    const verdict = verdictOf(code);
    // A fresh token is the change that 4501 asks for; whether there is one, the next try will see.
    if (verdict === 'stayAway' && this.#expiredToken === undefined) {
      this.#refuse(code, reason);
      return;
    }

    const isFirst = this.#attempt++ === 0;
    const told = { attempt: this.#attempt, ...(code !== undefined && { closeCode: code }), ...(reason !== '' && { reason }) };
    if (!this.#network.isOnline()) {
      this.#show({ status: 'offline', ...told });
      return;
    }

    const delay = verdict === 'freshToken' && isFirst ? 0 : delayOf(this.#attempt, this.#timing.backoffBase, this.#timing.backoffCap, this.#random);
    this.#show({ status: 'waiting', retryAt: Date.now() + delay, ...told });
    this.#after('retry', delay, () => this.#connectOrWait());
  }

  #refuse(code: number | undefined, reason: string): void {
    this.#end(reason);
    this.#show({ status: 'refused', attempt: this.#attempt, ...(code !== undefined && { closeCode: code }), ...(reason !== '' && { reason }) });
  }

  /** Lets go of the present try, whatever its state. */
  #end(reason: string, code?: number): void {
    this.#try++;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#onlineSince = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      // The handler of errors stays: a socket that is closed while it opens tells of one.
      socket.close(code);
    }

    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { timer, reject } of waiting) {
      clearTimeout(timer);
      reject(new ChatError('OFFLINE', reason));
    }
  }

  #show(state: ConnectionState): void {
    this.#state = state;
    this.#observer.changed(state);
  }

  #after(name: 'retry' | 'open' | 'life' | 'renew', delay: number, then: () => void): void {
    this.#clear(name);
    this.#timers.set(name, setTimeout(then, Math.min(delay, longestTimer)));
  }

  #clear(name: 'retry' | 'open' | 'life' | 'renew'): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

const errorOf = (error: WireError) => new ChatError(error.code, error.message, error);
