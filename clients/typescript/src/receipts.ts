import { ChatError, type Timing } from './client.js';
import type { Connection } from './connection.js';
import type { ConversationState } from './state.js';
import type { Store } from './store.js';

/**
 * Sends receipts: delivered automatically, read when the application says so. They are collected for a moment, so that a hundred
 * messages make one receipt, and what could not be sent is sent on the next connection.
 */
export class Receipts {
  readonly #store: Store;
  readonly #connection: Connection;
  readonly #timing: Timing;
  /** Delivery cursors that were sent on this connection. */
  readonly #delivered = new Map<string, number>();
  /** Read cursors that the server has not confirmed yet. */
  readonly #read = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isSending = false;
  /** The conversations at the last check: unless they change there is nothing to send. */
  #lastSeen: Readonly<Record<string, ConversationState>> = {};

  constructor(store: Store, connection: Connection, timing: Timing) {
    this.#store = store;
    this.#connection = connection;
    this.#timing = timing;
    store.subscribe(() => {
      if (store.getState().conversations !== this.#lastSeen) this.#schedule();
    });
  }

  opened(): void {
    this.#delivered.clear();
    this.#lastSeen = {};
    this.#schedule();
  }

  /** For another user, or none. */
  reset(): void {
    this.#read.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  read(conversationId: string, upTo?: number): void {
    const conversation = this.#store.getState().conversations[conversationId];
    const number = upTo ?? conversation?.position ?? 0;
    if (number <= Math.max(this.#ownCursor(conversation, 'readUpTo'), this.#read.get(conversationId) ?? 0)) return;
    this.#read.set(conversationId, number);
    this.#schedule();
  }

  #schedule(delay = this.#timing.receiptDelay): void {
    if (this.#timer || !this.#connection.isOnline) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sendDelivered();
      void this.#sendRead();
    }, delay);
  }

  #sendDelivered(): void {
    const { conversations, me } = this.#store.getState();
    const before = this.#lastSeen;
    this.#lastSeen = conversations;
    for (const conversation of Object.values(conversations)) {
      if (conversation === before[conversation.id]) continue;
      const upTo = lastReceived(conversation, me?.userId);
      const acknowledged = Math.max(
        this.#delivered.get(conversation.id) ?? 0,
        this.#ownCursor(conversation, 'deliveredUpTo'),
        this.#read.get(conversation.id) ?? 0,
      );
      if (upTo > acknowledged && this.#connection.send('message.delivered', { conversationId: conversation.id, upTo }))
        this.#delivered.set(conversation.id, upTo);
    }
  }

  async #sendRead(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    let wait: number | undefined;
    for (const [conversationId, upTo] of this.#read) {
      try {
        await this.#connection.request('message.read', { conversationId, upTo });
        this.#confirmed(conversationId, upTo);
      } catch (failure) {
        if (!(failure instanceof ChatError)) throw failure;
        // Retried soon, or on the next connection. What is rejected permanently is dropped.
        if (failure.retryable) wait = Math.max(wait ?? 0, failure.details.retryAfterMs ?? 1000);
        else this.#confirmed(conversationId, upTo);
      }

      if (!this.#connection.isOnline) break;
    }

    this.#isSending = false;
    if (this.#read.size > 0) this.#schedule(wait);
  }

  #confirmed(conversationId: string, upTo: number): void {
    if (this.#read.get(conversationId) === upTo) this.#read.delete(conversationId);
  }

  #ownCursor(conversation: ConversationState | undefined, cursor: 'readUpTo' | 'deliveredUpTo'): number {
    const me = this.#store.getState().me?.userId;
    return conversation?.members.find((member) => member.userId === me)?.[cursor] ?? 0;
  }
}

/** The number of the last message from others up to which this device has everything. */
function lastReceived({ messages, position, lastMessage, unread }: ConversationState, me: string | undefined): number {
  for (let at = messages.length - 1; at >= 0; at--) {
    const message = messages[at]!;
    if (message.senderId !== me && message.seq <= position) return message.seq;
  }

  if (lastMessage && lastMessage.senderId !== me && lastMessage.seq <= position) return lastMessage.seq;
  return unread > 0 ? position : 0;
}
