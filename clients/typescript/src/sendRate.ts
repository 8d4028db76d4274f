/** Sends that are allowed at once after an idle time. */
const burst = 20;

/**
 * Paces sends below the server's rate limit. Otherwise an outbox that was filled offline would be rate limited, and a connection with
 * too many errors is closed for good.
 */
export class SendRate {
  /** When the next send is allowed. */
  #next = -Infinity;
  #heldUntil = -Infinity;

  /** Whether the server has rate limited a send, so that none is allowed yet. */
  get isHeld(): boolean {
    return performance.now() < this.#heldUntil;
  }

  /** Reserves the next slot; returns how many milliseconds to wait for it. */
  take(perSecond: number): number {
    const now = performance.now();
    const between = 1_000 / perSecond;
    const turn = Math.max(this.#next, now - (Math.min(burst, perSecond) - 1) * between);
    this.#next = turn + between;
    return Math.max(0, turn - now);
  }

  /** Blocks all sends for so many milliseconds, without a burst afterwards. Whoever waits for a slot reserves another. */
  hold(milliseconds: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, performance.now() + milliseconds);
    this.#next = this.#heldUntil;
  }
}
