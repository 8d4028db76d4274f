import { reduce, type Action } from './reducer.js';
import { report } from './report.js';
import { initialState, type ChatState } from './state.js';

/** Holds the state, and notifies subscribers of changes. */
export class Store {
  #state: ChatState = initialState;
  readonly #listeners = new Set<() => void>();

  readonly getState = (): ChatState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    // A wrapper, so that the same function can subscribe twice.
    const own = () => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  };

  dispatch(action: Action): void {
    const next = reduce(this.#state, action);
    if (next === this.#state) return;
    this.#state = next;
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (failure) {
        report(failure);
      }
    }
  }
}
