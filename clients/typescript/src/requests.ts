import { ChatError, type Timing } from './client.js';
import type { ServerEvent, WireError } from './wire.js';

interface PendingRequest {
  readonly resolve: (event: ServerEvent) => void;
  readonly reject: (failure: ChatError) => void;
  readonly suspicion: ReturnType<typeof setTimeout>;
  readonly timeout: ReturnType<typeof setTimeout>;
  /** Receives the parts of an answer in many frames; returns whether this was one. */
  readonly isPart: ((event: ServerEvent) => boolean) | undefined;
}

/** Requests that wait for their answers, by the id that both carry. */
export class PendingRequests {
  readonly #timing: Timing;
  readonly #suspect: (sentAt: number) => void;
  readonly #pending = new Map<string, PendingRequest>();
  #lastId = 0;

  /** `suspect` is called for a request that was sent then and has no answer after `suspectAfter`. */
  constructor(timing: Timing, suspect: (sentAt: number) => void) {
    this.#timing = timing;
    this.#suspect = suspect;
  }

  /** Sends a request under a fresh id, and waits for its answer. */
  add(send: (id: string) => boolean, isPart?: (event: ServerEvent) => boolean): Promise<ServerEvent> {
    const id = String(++this.#lastId);
    return new Promise((resolve, reject) => {
      const sentAt = Date.now();
      const suspicion = setTimeout(() => this.#suspect(sentAt), this.#timing.suspectAfter);
      const timeout = setTimeout(() => this.#take(id)?.reject(new ChatError('OFFLINE', 'No answer in time.')), this.#timing.replyTimeout);
      this.#pending.set(id, { resolve, reject, suspicion, timeout, isPart });
      if (!send(id)) this.#take(id)?.reject(new ChatError('OFFLINE', 'Not connected.'));
    });
  }

  /** Gives an event to the request that it answers, if any. */
  receive(event: ServerEvent): void {
    if (event.id === undefined || this.#pending.get(event.id)?.isPart?.(event)) return;
    const request = this.#take(event.id);
    if (event.type === 'error') request?.reject(errorOf(event.payload));
    else request?.resolve(event);
  }

  rejectAll(reason: string): void {
    for (const id of [...this.#pending.keys()]) this.#take(id)!.reject(new ChatError('OFFLINE', reason));
  }

  #take(id: string): PendingRequest | undefined {
    const request = this.#pending.get(id);
    clearTimeout(request?.suspicion);
    clearTimeout(request?.timeout);
    this.#pending.delete(id);
    return request;
  }
}

const errorOf = (error: WireError) => new ChatError(error.code, error.message, error);
