export { ChatProvider, useChat, useChatClient, useChatState, type ChatOverview } from './provider.js';
export { useConversations, type ConversationList } from './conversations.js';
export { useConversation, type ConversationView } from './conversation.js';
export { usePresence } from './presence.js';
export { useDraft, useUnsent } from './draft.js';
export { useUnreadDivider, type UnreadDivider } from './unread.js';
export { useAttention } from './attention.js';
