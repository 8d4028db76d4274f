/** Whether there is a network at all, as far as the device can tell. */
export interface Network {
  isOnline(): boolean;
  /** Calls back when that changes, and when the page is looked at again. Returns the way to stop that. */
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
      target.addEventListener?.('online', listener);
      target.addEventListener?.('offline', listener);
      document?.addEventListener('visibilitychange', look);
      return () => {
        target.removeEventListener?.('online', listener);
        target.removeEventListener?.('offline', listener);
        document?.removeEventListener('visibilitychange', look);
      };
    },
  };
}
