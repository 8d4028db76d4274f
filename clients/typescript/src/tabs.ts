/** What the tabs of one browser tell each other. */
export type TabMessage =
  /** The outbox in the storage has changed. */
  | { readonly type: 'outbox'; readonly userId: string }
  | { readonly type: 'draft'; readonly userId: string; readonly conversationId: string }
  /** The user has signed out: nothing of theirs stays, in no tab. */
  | { readonly type: 'signedOut'; readonly userId: string; readonly everywhere?: boolean };

export interface TabChannel {
  post(message: TabMessage): void;
  close(): void;
}

/** Opens a channel to the other tabs. What one posts oneself is not heard. */
export type Tabs = (listener: (message: TabMessage) => void) => TabChannel;

/** By BroadcastChannel, in a browser; elsewhere there are no tabs. */
export const browserTabs: Tabs = (listener) => {
  // In Node a channel would keep the process alive, and no two processes share a storage there.
  if (typeof BroadcastChannel === 'undefined' || typeof document === 'undefined') return { post() {}, close() {} };
  const channel = new BroadcastChannel('chat-client');
  channel.onmessage = ({ data }: MessageEvent<unknown>) => {
    // Tabs may run another version of the page.
    if (typeof data === 'object' && data !== null && 'type' in data && 'userId' in data) listener(data as TabMessage);
  };
  return {
    post(message) {
      channel.postMessage(message);
    },
    close() {
      channel.close();
    },
  };
};
