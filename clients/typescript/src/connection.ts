import { isMixedContent, socketAddress } from './address.js';
import { delayOf, reconnectAdvice } from './backoff.js';
import { ChatError, type ChatOptions, type Timing, type WebSocketLike } from './client.js';
import type { Network } from './network.js';
import { report } from './report.js';
import type { ConnectionProblem, ConnectionState } from './state.js';
import { claimsOf, isSignInRequired } from './token.js';
import type { AuthSuccess, ClientEvents, ServerEvent, WireError } from './wire.js';

const open = 1;
const notAuthorised = 4501;
const longestTimer = 2 ** 31 - 1;
/** What comes sooner after a question may have lain in the device while it slept: it shows no life. */
const staleFor = 1000;

/** What a link tells. */
export interface ConnectionObserver {
  /** A token is at hand, signed in or not: whose it is. */
  identified(userId: string): void;
  changed(connection: ConnectionState): void;
  /** Each event, before whoever waits for it gets it. */
  received(event: ServerEvent): void;
  /** Signed in: live events arrive from here on. */
  opened(success: AuthSuccess): void;
}

type TimerName = 'retry' | 'open' | 'life' | 'verdict' | 'renew';

interface Pending {
  readonly sentAt: number;
  readonly suspect: ReturnType<typeof setTimeout>;
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
export class Connection {
  readonly #options: Pick<ChatOptions, 'token' | 'WebSocket' | 'random'>;
  readonly #base: string;
  readonly #timing: Timing;
  readonly #network: Network;
  readonly #observer: ConnectionObserver;
  readonly #random: () => number;
  readonly #pending = new Map<string, Pending>();
  readonly #timers = new Map<TimerName, ReturnType<typeof setTimeout>>();
  #state: ConnectionState = { status: 'idle', attempt: 0 };
  #socket: WebSocketLike | undefined;
  /** Changes with each try, so that what belongs to an older one is known to be late. */
  #try = 0;
  #lastId = 0;
  #attempt = 0;
  #onlineSince: number | undefined;
  #heardAt = 0;
  /** When the present question for a sign of life was asked, and by when it must have been answered. */
  #probe: { readonly askedAt: number; readonly until: number } | undefined;
  #wasNetworkOnline = true;
  #isConnecting = false;
  #token = '';
  /** What the server has refused: the source of tokens is asked once for another. */
  #refusedToken: string | undefined;
  #isRefusedAgain = false;
  /** What has run out on a living connection. */
  #expiredToken: string | undefined;
  #refusedAs: ConnectionProblem | undefined;
  /** How far this device's clock is behind the server's. */
  #skew = 0;
  #unsubscribe: (() => void) | undefined;

  constructor(options: Pick<ChatOptions, 'token' | 'WebSocket' | 'random'>, base: string, timing: Timing, network: Network, observer: ConnectionObserver) {
    this.#options = options;
    this.#base = base;
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
    if (this.#state.status === 'idle' || this.#state.status === 'rejected') {
      this.#attempt = 0;
      this.#refusedToken = undefined;
      this.#wasNetworkOnline = this.#network.isOnline();
      void this.#connect();
    }
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#attempt = 0;
    this.#end('stopped', 1000);
    this.#show({ status: 'idle', attempt: 0 });
  }

  /** There will be no token without the user. */
  endSession(reason: string): void {
    if (this.#state.status === 'idle') return;
    this.#refuse('SIGN_IN_REQUIRED', notAuthorised, reason);
  }

  /** Does not wait any longer; where all seems well, makes sure that it is. */
  reconnect(): void {
    const { status } = this.#state;
    if (status === 'online') this.#ask(this.#timing.probeTimeout);
    else if (status === 'idle' || status === 'rejected') this.start();
    else if (!this.#isConnecting) void this.#connect();
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
      const sentAt = Date.now();
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new ChatError('OFFLINE', 'No answer in time.'));
      }, this.#timing.replyTimeout);
      const suspect = setTimeout(() => {
        if (this.#heardAt <= sentAt) this.#ask(this.#timing.probeTimeout);
      }, this.#timing.suspectAfter);
      this.#pending.set(id, { sentAt, suspect, resolve, reject, timer, isPart });
      if (!this.send(type, payload, id)) {
        clearTimeout(timer);
        clearTimeout(suspect);
        this.#pending.delete(id);
        reject(new ChatError('OFFLINE', 'Not connected.'));
      }
    });
  }

  async #connect(): Promise<void> {
    this.#end('another try');
    const turn = ++this.#try;
    this.#isConnecting = true;
    // That there is no network is a hint, and no reason not to try: the server may be this machine, or on the same one.
    this.#show({ status: this.#network.isOnline() ? 'connecting' : 'offline', attempt: this.#attempt });
    this.#after('open', this.#timing.connectTimeout, () => this.#lost(undefined, 'no connection in time'));
    const refused = this.#refusedToken;
    const useless = refused ?? this.#expiredToken;
    let token: string;
    try {
      token = await this.#options.token(useless === undefined ? {} : { refused: useless });
    } catch (failure) {
      if (turn !== this.#try) return;
      if (isSignInRequired(failure)) this.endSession(failure.message);
      else this.#lost(undefined, `no token: ${failure instanceof Error ? failure.message : String(failure)}`);
      return;
    }

    if (turn !== this.#try) return;
    if (token === refused) {
      this.#refuse(this.#refusedAs, notAuthorised, 'the token is not accepted, and there is no other');
      return;
    }

    this.#token = token;
    const { sub } = claimsOf(token);
    if (sub) this.#observer.identified(sub);
    if (turn === this.#try) this.#openSocket(turn);
  }

  #openSocket(turn: number): void {
    const Socket = this.#options.WebSocket ?? (globalThis as { WebSocket?: ChatOptions['WebSocket'] }).WebSocket;
    if (!Socket) {
      this.#refuse('NO_WEBSOCKET', undefined, 'There is no WebSocket here. Give createChat one: WebSocket of the ws package, in Node before 22.');
      return;
    }

    let socket: WebSocketLike;
    try {
      socket = new Socket(socketAddress(this.#base));
    } catch (failure) {
      // An address that the browser does not allow: to try again would change nothing.
      this.#refuseAddress(failure instanceof Error ? failure.message : String(failure));
      return;
    }

    this.#socket = socket;
    socket.onopen = () => {
      if (turn === this.#try) this.#write({ type: 'auth', payload: { token: this.#token } });
    };
    socket.onmessage = (event: { readonly data: unknown }) => {
      if (turn === this.#try && typeof event.data === 'string') this.#read(event.data);
    };
    socket.onclose = (event: { readonly code: number; readonly reason: string }) => {
      if (turn !== this.#try) return;
      if (!this.isOnline && isMixedContent(this.#base)) this.#refuseAddress('');
      else this.#lost(event.code, event.reason);
    };
    // A close follows, which says more.
    socket.onerror = () => {};
  }

  #refuseAddress(reason: string): void {
    const why = isMixedContent(this.#base) ? `A page that came by https may not connect to ${this.#base}: give the server https, too.` : reason;
    this.#refuse('ADDRESS_NOT_ALLOWED', undefined, why);
  }

  #write(frame: { type: string; id?: string; payload: unknown }): boolean {
    if (this.#socket?.readyState !== open) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #read(data: string): void {
    this.#heardAt = Date.now();
    const event = eventOf(data);
    // Not the server's: something on the way has said it.
    if (!event) return;
    if (event.type === 'pong') this.#alive();
    if (event.type === 'auth_failed') {
      // Twice in a row: the other one is not better. What a restarted server or another key says may be old as well.
      if (this.#refusedToken === undefined) this.#refusedToken = this.#token;
      else this.#isRefusedAgain = true;
      this.#refusedAs = event.payload.code;
    }

    try {
      this.#observer.received(event);
    } catch (failure) {
      report(failure);
    }

    if (event.type === 'auth_success') this.#signedIn(event.payload);
    const waiting = event.id === undefined ? undefined : this.#pending.get(event.id);
    if (!waiting || waiting.isPart?.(event)) return;
    clearTimeout(waiting.timer);
    clearTimeout(waiting.suspect);
    this.#pending.delete(event.id!);
    if (event.type === 'error') waiting.reject(errorOf(event.payload));
    else waiting.resolve(event);
  }

  #signedIn(success: AuthSuccess): void {
    this.#refusedToken = undefined;
    this.#expiredToken = undefined;
    this.#refusedAs = undefined;
    this.#isRefusedAgain = false;
    const isFirst = !this.isOnline;
    if (isFirst) {
      this.#isConnecting = false;
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
      // By the server's clock it ends soon, whatever the cache thinks of it.
      token = await this.#options.token({ refused: token });
    } catch (failure) {
      if (turn === this.#try && isSignInRequired(failure)) return this.endSession(failure.message);
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

  /** Looks when the silence may have lasted long enough, counted from the last sign of life. */
  #watchLife(): void {
    const { pingAfter, pingTimeout, probeTimeout } = this.#timing;
    // A clock that was set back must not make the silence shorter.
    this.#heardAt = Math.min(this.#heardAt, Date.now());
    this.#after('life', this.#heardAt + pingAfter - Date.now(), () => {
      const silence = Date.now() - this.#heardAt;
      if (silence >= 0 && silence < pingAfter) this.#watchLife();
      // The device has slept, or the page was put to rest: what was open then often is not any more.
      else this.#ask(silence > pingAfter + probeTimeout ? probeTimeout : pingTimeout);
    });
  }

  /** A dead connection can look well for many minutes; a question that nobody answers tells. The first deadline holds. */
  #ask(timeout: number): void {
    if (!this.isOnline) return;
    const askedAt = Date.now();
    this.#heardAt = Math.min(this.#heardAt, askedAt);
    if (this.#probe && this.#probe.until <= askedAt + timeout) return;
    this.#probe = { askedAt: this.#probe?.askedAt ?? askedAt, until: askedAt + timeout };
    this.#clear('life');
    this.#after('verdict', timeout, () => {
      if (this.#heardAt >= (this.#probe?.askedAt ?? 0) + staleFor) this.#alive();
      else this.#lost(undefined, 'no sign of life');
    });
    this.send('ping', {});
  }

  #alive(): void {
    if (!this.isOnline) return;
    this.#probe = undefined;
    this.#clear('verdict');
    this.#watchLife();
  }

  #networkChanged(): void {
    const { status } = this.#state;
    const isOnline = this.#network.isOnline();
    const hasReturned = isOnline && !this.#wasNetworkOnline;
    this.#wasNetworkOnline = isOnline;
    if (status === 'idle' || status === 'rejected') return;
    if (status === 'online') this.#ask(this.#timing.probeTimeout);
    // A try that began without a network may hang where a new one succeeds.
    else if (hasReturned || (isOnline && !this.#isConnecting)) void this.#connect();
    else if (!isOnline && status === 'reconnecting') this.#show({ ...this.#state, status: 'offline' });
  }

  #lost(code: number | undefined, reason: string): void {
    const wasOnline = this.isOnline;
    const wasStable = this.#onlineSince !== undefined && Date.now() - this.#onlineSince >= this.#timing.stableAfter;
    if (wasStable) this.#attempt = 0;
    this.#end(reason);
    const verdict = reconnectAdvice(code);
    if (verdict === 'refreshToken') this.#expiredToken = this.#token;
    // Another token is the change that 4501 asks for; whether there is one, the next try will see.
    const mayHelp = this.#refusedToken !== undefined && !this.#isRefusedAgain;
    if (verdict === 'giveUp' && !mayHelp) {
      // Where the token itself is at fault, the server says so first.
      const problem = this.#refusedAs ?? (wasOnline ? 'REVOKED' : 'TOKEN_INVALID');
      this.#refuse(code === notAuthorised ? problem : undefined, code, reason);
      return;
    }

    const isFirst = this.#attempt++ === 0;
    const delay =
      isFirst && (verdict === 'refreshToken' || verdict === 'giveUp') ? 0 : delayOf(this.#attempt, this.#timing.backoffBase, this.#timing.backoffCap, this.#random);
    this.#show({
      status: this.#network.isOnline() ? 'reconnecting' : 'offline',
      attempt: this.#attempt,
      retryAt: Date.now() + delay,
      ...(code !== undefined && { closeCode: code }),
      ...(reason !== '' && { reason }),
    });
    this.#after('retry', delay, () => void this.#connect());
  }

  #refuse(problem: ConnectionProblem | undefined, code: number | undefined, reason: string): void {
    this.#end(reason);
    this.#refusedToken = undefined;
    this.#isRefusedAgain = false;
    this.#show({ status: 'rejected', attempt: this.#attempt, ...(problem && { problem }), ...(code !== undefined && { closeCode: code }), ...(reason !== '' && { reason }) });
  }

  /** Lets go of the present try, whatever its state. */
  #end(reason: string, code?: number): void {
    this.#try++;
    this.#isConnecting = false;
    this.#probe = undefined;
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
    for (const { timer, suspect, reject } of waiting) {
      clearTimeout(timer);
      clearTimeout(suspect);
      reject(new ChatError('OFFLINE', reason));
    }
  }

  #show(state: ConnectionState): void {
    this.#state = state;
    this.#observer.changed(state);
  }

  #after(name: TimerName, delay: number, then: () => void): void {
    this.#clear(name);
    this.#timers.set(name, setTimeout(then, Math.max(0, Math.min(delay, longestTimer))));
  }

  #clear(name: TimerName): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

function eventOf(data: string): ServerEvent | undefined {
  try {
    const event = JSON.parse(data) as ServerEvent | null;
    return typeof event?.type === 'string' ? { ...event, payload: event.payload ?? {} } as ServerEvent : undefined;
  } catch {
    return undefined;
  }
}

const errorOf = (error: WireError) => new ChatError(error.code, error.message, error);
