/** Sends that may go at once after a quiet time. */
const burst = 20;

/**
 * Spreads sends over time. An outbox that was filled without a connection would otherwise be refused as a flood, and a
 * connection with too many refusals is closed for good.
 */
export class SendRate {
  /** When the next send may go if all that took a turn before it do. */
  #next = -Infinity;
  #heldUntil = -Infinity;

  /** Whether the server has refused something since, and nothing is to go yet. */
  get isHeld(): boolean {
    return performance.now() < this.#heldUntil;
  }

  /** Takes a turn; returns for how many milliseconds to wait for it. */
  take(perSecond: number): number {
    const now = performance.now();
    const between = 1_000 / perSecond;
    const turn = Math.max(this.#next, now - (Math.min(burst, perSecond) - 1) * between);
    this.#next = turn + between;
    return Math.max(0, turn - now);
  }

  /** Nothing goes for so many milliseconds, and what goes then begins one by one. Whoever waits for a turn takes another. */
  hold(milliseconds: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, performance.now() + milliseconds);
    this.#next = this.#heldUntil;
  }
}
