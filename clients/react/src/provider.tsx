import { totalUnreadOf, type Chat, type ChatState, type ConnectionState, type Me } from 'chat-client';
import { createContext, useContext, useSyncExternalStore, type ReactNode } from 'react';

const ChatContext = createContext<Chat | null>(null);

/** Gives a chat to the hooks below it. Whoever made the client starts and stops it. */
export function ChatProvider({ client, children }: { client: Chat; children?: ReactNode }) {
  return <ChatContext value={client}>{children}</ChatContext>;
}

/** The client itself, for what one does rather than shows. */
export function useChatClient(): Chat {
  const client = useContext(ChatContext);
  if (!client) throw new Error('There is no <ChatProvider> above this component.');
  return client;
}

/** A part of the state. Draws again only when that part is another object or value: select, do not build. */
export function useChatState<Selected>(select: (state: ChatState) => Selected): Selected {
  const client = useChatClient();
  const snapshot = () => select(client.getState());
  return useSyncExternalStore(client.subscribe, snapshot, snapshot);
}

/** What `useChat` gives. */
export interface ChatOverview {
  readonly client: Chat;
  readonly connection: ConnectionState;
  readonly me: Me | null;
  /** Over all conversations. */
  readonly totalUnread: number;
  /** Whom the user has blocked, and since when. */
  readonly blocks: ChatState['blocks'];
}

/** The chat as a whole: how it stands with the connection, who is signed in, and what one can do. */
export function useChat(): ChatOverview {
  return {
    client: useChatClient(),
    connection: useChatState((state) => state.connection),
    me: useChatState((state) => state.me),
    totalUnread: useChatState(totalUnreadOf),
    blocks: useChatState((state) => state.blocks),
  };
}
