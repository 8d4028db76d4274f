import { isMixedContent, socketAddress } from './address.js';
import type { ChatOptions, Timing, WebSocketLike } from './client.js';
import { initialPhase, next, notAuthorised, type ConnectionInput, type ConnectionPhase } from './connectionPhase.js';
import { parseEvent } from './frame.js';
import { Heartbeat } from './heartbeat.js';
import type { Network } from './network.js';
import { report } from './report.js';
import { PendingRequests } from './requests.js';
import type { ConnectionProblem, ConnectionState } from './state.js';
import { claimsOf, isSignInRequired } from './token.js';
import type { AuthSuccess, ClientEvents, ServerEvent } from './wire.js';

const open = 1;
const maxTimer = 2 ** 31 - 1;

/** What a connection reports. */
export interface ConnectionObserver {
  /** A token is there, accepted or not: this is whose it is. */
  identified(userId: string): void;
  changed(connection: ConnectionState): void;
  /** Each event, before the request that it answers. */
  received(event: ServerEvent): void;
  /** Signed in: live events arrive from here on. */
  opened(success: AuthSuccess): void;
}

type ConnectionOptions = Pick<ChatOptions, 'token' | 'WebSocket' | 'random'>;
type TimerName = 'retry' | 'connect' | 'renew';

/**
 * Keeps one connection to the server: opens a socket, signs in, renews the token, detects a dead socket, and reconnects as the close
 * codes say. Does not know what is said over it.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #base: string;
  readonly #timing: Timing;
  readonly #network: Network;
  readonly #observer: ConnectionObserver;
  readonly #requests: PendingRequests;
  readonly #heartbeat: Heartbeat;
  readonly #timers = new Map<TimerName, ReturnType<typeof setTimeout>>();
  #state: ConnectionPhase = initialPhase;
  #socket: WebSocketLike | undefined;
  /** Changes with each attempt, so that what belongs to an earlier one can be ignored. */
  #attemptId = 0;
  #onlineSince: number | undefined;
  #wasNetworkOnline = true;
  #token = '';
  /** How far this device's clock is behind the server's, in milliseconds. */
  #clockSkew = 0;
  #unsubscribe: (() => void) | undefined;

  constructor(options: ConnectionOptions, base: string, timing: Timing, network: Network, observer: ConnectionObserver) {
    this.#options = options;
    this.#base = base;
    this.#timing = timing;
    this.#network = network;
    this.#observer = observer;
    this.#heartbeat = new Heartbeat(timing, { ping: () => this.send('ping', {}), dead: () => this.#lost(undefined, 'no pong in time') });
    this.#requests = new PendingRequests(timing, (sentAt) => this.#heartbeat.suspect(sentAt));
  }

  get isOnline(): boolean {
    return this.#state.phase === 'online';
  }

  start(): void {
    this.#unsubscribe ??= this.#network.subscribe(() => this.#networkChanged());
    if (this.#state.phase !== 'idle' && this.#state.phase !== 'rejected') return;
    this.#wasNetworkOnline = this.#network.isOnline();
    void this.#connect({ type: 'start' });
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#close('stopped', 1000);
    this.#apply({ type: 'stop' });
  }

  /** There will be no token without the user. */
  endSession(reason: string): void {
    if (this.#state.phase !== 'idle') this.#reject('SIGN_IN_REQUIRED', notAuthorised, reason);
  }

  /** Connects without waiting any longer; probes a connection that seems to be there. */
  reconnect(): void {
    if (this.isOnline) this.#heartbeat.probe();
    else if (this.#state.phase === 'waiting') void this.#connect();
    else this.start();
  }

  /** Sends an event that has no answer. Returns false if there is no connection. */
  send<Type extends keyof ClientEvents>(type: Type, payload: ClientEvents[Type], id?: string): boolean {
    return this.isOnline && this.#write({ type, ...(id !== undefined && { id }), payload });
  }

  /** Sends an event and waits for the answer. Rejects with a `ChatError` if that is an error, or if there is none. */
  request<Type extends keyof ClientEvents>(
    type: Type, payload: ClientEvents[Type], isPart?: (event: ServerEvent) => boolean,
  ): Promise<ServerEvent> {
    return this.#requests.add((id) => this.send(type, payload, id), isPart);
  }

  async #connect(input: ConnectionInput = { type: 'connect' }): Promise<void> {
    this.#close('another attempt');
    const attemptId = ++this.#attemptId;
    this.#apply(input);
    if (attemptId !== this.#attemptId) return;
    this.#after('connect', this.#timing.connectTimeout, () => this.#lost(undefined, 'connecting timed out'));
    const { refused, expiredToken } = this.#state;
    const useless = refused?.token ?? expiredToken;
    let token: string;
    try {
      token = await this.#options.token(useless === null ? {} : { refused: useless });
    } catch (failure) {
      if (attemptId !== this.#attemptId) return;
      if (isSignInRequired(failure)) this.endSession(failure.message);
      else this.#lost(undefined, `no token: ${failure instanceof Error ? failure.message : String(failure)}`);
      return;
    }

    if (attemptId !== this.#attemptId) return;
    if (token === refused?.token) {
      this.#reject(refused.problem, notAuthorised, 'the token is not accepted, and there is no other');
      return;
    }

    this.#token = token;
    const { sub } = claimsOf(token);
    if (sub) this.#observer.identified(sub);
    if (attemptId === this.#attemptId) this.#openSocket(attemptId);
  }

  #openSocket(attemptId: number): void {
    const Socket = this.#options.WebSocket ?? (globalThis as { WebSocket?: ChatOptions['WebSocket'] }).WebSocket;
    if (!Socket) {
      this.#reject('NO_WEBSOCKET', undefined, 'There is no WebSocket class. In Node before 22, pass that of the ws package to createChat.');
      return;
    }

    let socket: WebSocketLike;
    try {
      socket = new Socket(socketAddress(this.#base));
    } catch (failure) {
      // The browser does not allow this address: another attempt would change nothing.
      this.#rejectAddress(failure instanceof Error ? failure.message : String(failure));
      return;
    }

    this.#socket = socket;
    socket.onopen = () => {
      if (attemptId === this.#attemptId) this.#write({ type: 'auth', payload: { token: this.#token } });
    };
    socket.onmessage = (event: { readonly data: unknown }) => {
      if (attemptId === this.#attemptId && typeof event.data === 'string') this.#receive(event.data);
    };
    socket.onclose = (event: { readonly code: number; readonly reason: string }) => {
      if (attemptId !== this.#attemptId) return;
      if (!this.isOnline && isMixedContent(this.#base)) this.#rejectAddress('');
      else this.#lost(event.code, event.reason);
    };
    // A close event follows, which says more.
    socket.onerror = () => {};
  }

  #rejectAddress(reason: string): void {
    const mixed = `A page that was loaded over https may not connect to ${this.#base}: give the server https, too.`;
    this.#reject('ADDRESS_NOT_ALLOWED', undefined, isMixedContent(this.#base) ? mixed : reason);
  }

  #write(frame: { type: string; id?: string; payload: unknown }): boolean {
    if (this.#socket?.readyState !== open) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #receive(data: string): void {
    this.#heartbeat.heard();
    const event = parseEvent(data);
    // Not from the server, but from something on the way.
    if (!event) return;
    if (event.type === 'pong') this.#heartbeat.pong();
    if (event.type === 'auth_failed') this.#apply({ type: 'tokenRefused', token: this.#token, problem: event.payload.code });

    try {
      this.#observer.received(event);
    } catch (failure) {
      report(failure);
    }

    if (event.type === 'auth_success') this.#signedIn(event.payload);
    this.#requests.receive(event);
  }

  #signedIn(success: AuthSuccess): void {
    const isRenewal = this.isOnline;
    if (!isRenewal) {
      this.#clear('connect');
      this.#clockSkew = Date.parse(success.connectedAt) - Date.now();
      this.#onlineSince = Date.now();
      this.#heartbeat.start();
    }

    this.#scheduleRenewal();
    this.#apply({ type: 'signedIn' });
    if (!isRenewal) this.#observer.opened(success);
  }

  #scheduleRenewal(): void {
    const { exp } = claimsOf(this.#token);
    if (exp === undefined) return;
    const left = exp * 1000 - (Date.now() + this.#clockSkew);
    // A short-lived token is renewed half-way.
    this.#after('renew', Math.max(1000, left - Math.min(this.#timing.renewBefore, left / 2)), () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const attemptId = this.#attemptId;
    let token = this.#token;
    try {
      // It expires soon by the server's clock, even if the cache thinks otherwise.
      token = await this.#options.token({ refused: token });
    } catch (failure) {
      if (attemptId === this.#attemptId && isSignInRequired(failure)) return this.endSession(failure.message);
      // Not now, then: it is asked for again below, and at the latest after a 4401.
    }

    if (attemptId !== this.#attemptId || !this.isOnline) return;
    if (token === this.#token) {
      this.#scheduleRenewal();
      return;
    }

    this.#token = token;
    this.#write({ type: 'auth', payload: { token } });
  }

  #networkChanged(): void {
    const { phase } = this.#state;
    const isOnline = this.#network.isOnline();
    const hasReturned = isOnline && !this.#wasNetworkOnline;
    this.#wasNetworkOnline = isOnline;
    if (phase === 'idle' || phase === 'rejected') return;
    if (phase === 'online') this.#heartbeat.probe();
    // An attempt that began without a network may hang where a new one succeeds.
    else if (hasReturned || (isOnline && phase !== 'connecting')) void this.#connect();
    else if (!isOnline) this.#apply({ type: 'networkLost' });
  }

  #lost(code: number | undefined, reason: string): void {
    const wasStable = this.#onlineSince !== undefined && Date.now() - this.#onlineSince >= this.#timing.stableAfter;
    this.#close(reason);
    const attemptId = this.#attemptId;
    this.#apply({ type: 'lost', code, reason, token: this.#token, wasStable });
    const { phase, shown } = this.#state;
    if (attemptId === this.#attemptId && phase === 'waiting') this.#after('retry', shown.retryAt! - Date.now(), () => void this.#connect());
  }

  #reject(problem: ConnectionProblem | undefined, code: number | undefined, reason: string): void {
    this.#close(reason);
    this.#apply({ type: 'reject', problem, code, reason });
  }

  /** Ends the current attempt, in whatever state it is. */
  #close(reason: string, code?: number): void {
    this.#attemptId++;
    this.#heartbeat.stop();
    for (const name of [...this.#timers.keys()]) this.#clear(name);
    this.#onlineSince = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      // The error handler stays: a socket that is closed while it opens reports an error.
      socket.close(code);
    }

    this.#requests.rejectAll(reason);
  }

  #apply(input: ConnectionInput): void {
    const before = this.#state;
    const jitter = (this.#options.random ?? Math.random)();
    this.#state = next(before, input, { isNetworkOnline: this.#network.isOnline(), now: Date.now(), jitter, timing: this.#timing });
    if (this.#state.shown !== before.shown || input.type === 'stop') this.#observer.changed(this.#state.shown);
  }

  #after(name: TimerName, delay: number, then: () => void): void {
    this.#clear(name);
    this.#timers.set(name, setTimeout(then, Math.max(0, Math.min(delay, maxTimer))));
  }

  #clear(name: TimerName): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}
