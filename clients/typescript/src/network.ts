/** Whether there is a network, as far as the device can tell. A hint: it knows nothing of the way to this server. */
export interface Network {
  isOnline(): boolean;
  /** Calls back when that changes, and when the page is looked at again or wakes up. Returns the way to stop that. */
  subscribe(listener: () => void): () => void;
}

/** The browser's own events; elsewhere there always is a network. */
export function browserNetwork(): Network {
  const target = globalThis as Partial<Pick<Window, 'addEventListener' | 'removeEventListener' | 'document' | 'navigator'>>;
  return {
    isOnline: () => target.navigator?.onLine !== false,
    subscribe(listener) {
      const { document } = target;
      // A page that wakes up may hold a socket that died while it slept.
      const look = () => {
        if (document?.visibilityState === 'visible') listener();
      };
      // React Native has a window without events.
      const own = ['online', 'offline', 'focus', 'pageshow'];
      const ofDocument = ['visibilitychange', 'resume'];
      for (const name of own) target.addEventListener?.(name, name === 'focus' ? look : listener);
      for (const name of ofDocument) document?.addEventListener?.(name, look);
      return () => {
        for (const name of own) target.removeEventListener?.(name, name === 'focus' ? look : listener);
        for (const name of ofDocument) document?.removeEventListener?.(name, look);
      };
    },
  };
}
