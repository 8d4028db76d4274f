export { createChat } from './chat.js';
export { ChatError } from './client.js';
export type { Chat, ChatEvents, ChatOptions, Timing, WebSocketConstructor, WebSocketLike } from './client.js';
export type { ChatApi } from './rest.js';
export type { Network } from './network.js';
export { indexedDbStorage, memoryStorage, type OutboxStorage } from './outbox.js';
export * from './selectors.js';
export * from './state.js';
export type * from './wire.js';
