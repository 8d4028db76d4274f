/** Messages between the tabs of one browser. */
export type TabMessage =
  /** The outbox in the storage has changed. */
  | { readonly type: 'outbox'; readonly userId: string }
  | { readonly type: 'draft'; readonly userId: string; readonly conversationId: string }
  /** The user has signed out: their data is removed in all tabs. */
  | { readonly type: 'signedOut'; readonly userId: string; readonly everywhere?: boolean };

export interface TabChannel {
  post(message: TabMessage): void;
  close(): void;
}

/** Opens a channel to the other tabs. A tab does not receive its own messages. */
export type Tabs = (listener: (message: TabMessage) => void) => TabChannel;

/** A BroadcastChannel in browsers; nothing elsewhere. */
export const browserTabs: Tabs = (listener) => {
  // In Node a channel would keep the process alive, and processes share no storage there.
  if (typeof BroadcastChannel === 'undefined' || typeof document === 'undefined') return { post() {}, close() {} };
  const channel = new BroadcastChannel('chat-client');
  channel.onmessage = ({ data }: MessageEvent<unknown>) => {
    // Another tab may run another version.
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
