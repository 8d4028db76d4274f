import type { ChatEvents } from './client.js';
import { report } from './report.js';

/** Listeners by event. One that throws does not keep the others from hearing of it. */
export class ChatEmitter {
  readonly #listeners = new Map<keyof ChatEvents, Set<(payload: never) => void>>();

  on<Type extends keyof ChatEvents>(type: Type, listener: (payload: ChatEvents[Type]) => void): () => void {
    // A wrapper, so that the same function can be registered twice.
    const own = (payload: never) => listener(payload);
    const known = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, known.add(own));
    return () => known.delete(own);
  }

  emit<Type extends keyof ChatEvents>(type: Type, payload: ChatEvents[Type]): void {
    for (const listener of this.#listeners.get(type) ?? []) {
      try {
        (listener as (payload: ChatEvents[Type]) => void)(payload);
      } catch (failure) {
        report(failure);
      }
    }
  }
}
