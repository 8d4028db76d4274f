/** Whether the device has a network. A hint only: it says nothing about the route to this server. */
export interface Network {
  isOnline(): boolean;
  /** Calls the listener when that changes, and when the page becomes visible or resumes. Returns a function that unsubscribes. */
  subscribe(listener: () => void): () => void;
}

/** The network by the browser's events; elsewhere it is always online. */
export function browserNetwork(): Network {
  const target = globalThis as Partial<Pick<Window, 'addEventListener' | 'removeEventListener' | 'document' | 'navigator'>>;
  return {
    isOnline: () => target.navigator?.onLine !== false,
    subscribe(listener) {
      const { document } = target;
      // A page that resumes may hold a socket that died meanwhile.
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
