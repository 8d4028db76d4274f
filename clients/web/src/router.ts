import { useSyncExternalStore, type MouseEvent } from 'react';

const address = /^\/c\/([^/]+)\/?$/;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('popstate', listener);
  };
}

/** The conversation that the address names. */
export const useConversationId = (): string | null => useSyncExternalStore(subscribe, () => address.exec(location.pathname)?.[1] ?? null);

export const addressOf = (conversationId: string): string => `/c/${conversationId}`;

export function go(to: string, replace = false): void {
  if (to !== location.pathname) history[replace ? 'replaceState' : 'pushState'](null, '', to);
  for (const listener of listeners) listener();
}

/** For links: a plain click stays on the page, any other is the browser's. */
export function follow(event: MouseEvent<HTMLAnchorElement>): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(new URL(event.currentTarget.href).pathname);
}
