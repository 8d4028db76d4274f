import type { ConversationState, Message } from 'chat-client';
import { useEffect, useRef } from 'react';
import { useChatClient, useChatState } from './provider.js';

/** By then, a message that is visible in another window or on another device has been marked as read. */
const settleTime = 1000;

/** Callbacks of `useMessageAlerts`. */
export interface MessageAlerts {
  /** A new message that is still unread, here and elsewhere. Of a burst in one conversation: the latest. */
  onMessage(message: Message, conversation: ConversationState): void;
  /** The whole conversation is read: its notification can be closed. */
  onRead?(conversationId: string): void;
}

/** Reports messages that deserve a notification, in one of the user's tabs. Whether the window is active is up to the caller. */
export function useMessageAlerts(alerts: MessageAlerts): void {
  const client = useChatClient();
  const userId = useChatState((state) => state.me?.userId);
  const latest = useRef(alerts);
  useEffect(() => {
    latest.current = alerts;
  });

  useEffect(() => {
    if (userId === undefined) return;
    const waiting = new Map<string, { message: Message; readonly timer: ReturnType<typeof setTimeout> }>();
    const left = new AbortController();
    // One tab holds the lock, and reports.
    const locks = (navigator as Partial<Navigator>).locks;
    let speaks = locks === undefined;
    locks
      ?.request(`chat-alerts-${userId}`, { signal: left.signal }, () => {
        speaks = true;
        return new Promise<void>((resolve) => left.signal.addEventListener('abort', () => resolve()));
      })
      .catch((failure: unknown) => {
        if (!left.signal.aborted) console.error(failure);
      });

    const tell = (conversationId: string) => {
      const message = waiting.get(conversationId)!.message;
      waiting.delete(conversationId);
      const conversation = client.getState().conversations[conversationId];
      if (conversation && speaks && conversation.unread > 0) latest.current.onMessage(message, conversation);
    };
    const take = ({ conversationId, unread }: { conversationId: string; unread: number }) => {
      if (unread > 0) return;
      clearTimeout(waiting.get(conversationId)?.timer);
      waiting.delete(conversationId);
      latest.current.onRead?.(conversationId);
    };
    const stops = [
      client.on('message.new', ({ message }) => {
        if (message.senderId === userId) return;
        const id = message.conversationId;
        const known = waiting.get(id);
        if (known) known.message = message;
        else waiting.set(id, { message, timer: setTimeout(() => tell(id), settleTime) });
      }),
      // Read here, in another tab or on another device.
      client.on('notification.unread', take),
      client.on('message.read_ack', take),
    ];
    return () => {
      left.abort();
      for (const stop of stops) stop();
      for (const { timer } of waiting.values()) clearTimeout(timer);
    };
  }, [client, userId]);
}
