import { totalUnreadOf } from 'chat-client';
import { useEffect, useRef } from 'react';
import { useUnsent } from './draft.js';
import { useChatState } from './provider.js';

/** Sets the window's title, prefixed with the number of unread messages: `(3) Chat`. Restores the old title on unmount. */
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

/** Has the browser ask before the page is closed while messages are being sent: sending needs an open page. */
export function useUnsentWarning(): void {
  const isSending = useUnsent().some((entry) => entry.status === 'sending');
  useEffect(() => {
    if (!isSending) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [isSending]);
}
