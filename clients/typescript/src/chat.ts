import type { Chat, ChatOptions } from './client.js';

/** Makes a chat. Nothing is connected before `start`. */
export declare function createChat(options: ChatOptions): Chat;
