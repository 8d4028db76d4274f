import type { Timing } from './client.js';

/** What arrives sooner after a probe may have been buffered while the device was asleep: it proves nothing. */
const staleFor = 1000;

/** What a heartbeat asks for. */
export interface HeartbeatObserver {
  ping(): void;
  /** Nothing has been heard in time. */
  dead(): void;
}

/**
 * Notices a dead connection, which may look healthy for minutes: probes it after a silence or on suspicion, and declares it dead if
 * nothing answers in time.
 */
export class Heartbeat {
  readonly #timing: Timing;
  readonly #observer: HeartbeatObserver;
  #isRunning = false;
  #heardAt = 0;
  /** When the current probe was sent, and by when it must be answered. */
  #probe: { readonly sentAt: number; readonly deadline: number } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timing: Timing, observer: HeartbeatObserver) {
    this.#timing = timing;
    this.#observer = observer;
  }

  start(): void {
    this.#isRunning = true;
    this.#watch();
  }

  stop(): void {
    this.#isRunning = false;
    this.#probe = undefined;
    clearTimeout(this.#timer);
  }

  /** Something was received. */
  heard(): void {
    this.#heardAt = Date.now();
  }

  pong(): void {
    if (!this.#isRunning) return;
    this.#probe = undefined;
    this.#watch();
  }

  /** Probes the connection if nothing was received since. */
  suspect(since: number): void {
    if (this.#heardAt <= since) this.probe();
  }

  /** Asks for a sign of life. The earliest deadline counts. */
  probe(timeout = this.#timing.probeTimeout): void {
    if (!this.#isRunning) return;
    const sentAt = Date.now();
    this.#heardAt = Math.min(this.#heardAt, sentAt);
    if (this.#probe && this.#probe.deadline <= sentAt + timeout) return;
    this.#probe = { sentAt: this.#probe?.sentAt ?? sentAt, deadline: sentAt + timeout };
    this.#after(timeout, () => {
      if (this.#heardAt >= (this.#probe?.sentAt ?? 0) + staleFor) this.pong();
      else this.#observer.dead();
    });
    this.#observer.ping();
  }

  /** Waits until the silence, counted from what was heard last, has lasted long enough. */
  #watch(): void {
    const { pingAfter, pingTimeout, probeTimeout } = this.#timing;
    // A clock that was set back must not make the silence shorter.
    this.#heardAt = Math.min(this.#heardAt, Date.now());
    this.#after(this.#heardAt + pingAfter - Date.now(), () => {
      const silence = Date.now() - this.#heardAt;
      if (silence >= 0 && silence < pingAfter) this.#watch();
      // The device was asleep or the page suspended: the connection is likely to be dead.
      else this.probe(silence > pingAfter + probeTimeout ? probeTimeout : pingTimeout);
    });
  }

  #after(delay: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, Math.max(0, delay));
  }
}
