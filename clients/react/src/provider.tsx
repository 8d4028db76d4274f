import { totalUnreadOf, type Chat, type ChatState, type ConnectionState, type Me } from 'chat-client';
import { createContext, useContext, useEffect, useMemo, useRef, useSyncExternalStore, type ReactNode } from 'react';

const ChatContext = createContext<Chat | null>(null);

/** Provides a client to the hooks below it. Whoever created the client starts and stops it. */
export function ChatProvider({ client, children }: { client: Chat; children?: ReactNode }) {
  return <ChatContext value={client}>{children}</ChatContext>;
}

/** The client itself, for actions. */
export function useChatClient(): Chat {
  const client = useContext(ChatContext);
  if (!client) throw new Error('There is no <ChatProvider> above this component.');
  return client;
}

/**
 * A part of the state, or something built from it. Renders again only when that is another value, or an object or array with other
 * values.
 */
export function useChatState<Selected>(select: (state: ChatState) => Selected): Selected {
  const client = useChatClient();
  const drawn = useRef<{ readonly value: Selected }>(undefined);
  const snapshot = useMemo(() => {
    let known: { readonly state: ChatState; readonly value: Selected } | undefined;
    return () => {
      const state = client.getState();
      if (known?.state !== state) {
        const value = select(state);
        const before = known ?? drawn.current;
        known = { state, value: before && holdSame(before.value, value) ? before.value : value };
      }
      return known.value;
    };
  }, [client, select]);
  const value = useSyncExternalStore(client.subscribe, snapshot, snapshot);
  useEffect(() => {
    drawn.current = { value };
  });
  return value;
}

/** Whether two values are the same, or plain objects or arrays with the same values. */
function holdSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return false;
  const prototype: unknown = Object.getPrototypeOf(a);
  if (prototype !== Object.getPrototypeOf(b) || (prototype !== Object.prototype && prototype !== Array.prototype)) return false;
  const entries = Object.entries(a);
  const other = b as Record<string, unknown>;
  return entries.length === Object.keys(b).length && entries.every(([key, value]) => key in other && Object.is(other[key], value));
}

/** Result of `useChat`. */
export interface ChatOverview {
  readonly client: Chat;
  readonly connection: ConnectionState;
  readonly me: Me | null;
  /** Over all conversations. */
  readonly totalUnread: number;
  /** Whom the user has blocked, and since when. */
  readonly blocks: ChatState['blocks'];
}

/** The chat as a whole: the client, the connection, and who is signed in. */
export function useChat(): ChatOverview {
  return {
    client: useChatClient(),
    connection: useChatState((state) => state.connection),
    me: useChatState((state) => state.me),
    totalUnread: useChatState(totalUnreadOf),
    blocks: useChatState((state) => state.blocks),
  };
}
