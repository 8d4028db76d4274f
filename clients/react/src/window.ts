import { totalUnreadOf } from 'chat-client';
import { useEffect, useRef } from 'react';
import { useUnsent } from './draft.js';
import { useChatState } from './provider.js';

/** Names the window, with the number of unread messages in front: `(3) Chat`. The old name comes back at the end. */
export function useUnreadTitle(title: string): void {
  const unread = useChatState(totalUnreadOf);
  const before = useRef<string>(undefined);
  useEffect(() => {
    before.current ??= document.title;
    document.title = unread > 0 ? `(${unread}) ${title}` : title;
  }, [unread, title]);
  useEffect(
    () => () => {
      document.title = before.current ?? '';
      before.current = undefined;
    },
    [],
  );
}

/** Has the browser ask before the page is closed while messages are on their way: they go on only while a page is open. */
export function useUnsentWarning(): void {
  const isSending = useUnsent().some((entry) => entry.status === 'sending');
  useEffect(() => {
    if (!isSending) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [isSending]);
}
