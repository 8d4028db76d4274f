import { useSyncExternalStore, type MouseEvent } from 'react';
import { base } from './base.ts';

/** What a path shows. */
export type Route = { readonly kind: 'list' } | { readonly kind: 'conversation'; readonly id: string } | { readonly kind: 'unknown' };

/** State of each history entry: the previous path. */
interface Entry {
  readonly from?: string;
}

/** Below this width either the list or a conversation is shown. */
export const narrow = '(max-width: 719px)';

const listeners = new Set<() => void>();
const home = '/';

/** The current path below the base. Updated at once, also while `history.back()` is still pending. */
let path = currentPath();

function currentPath(): string {
  return location.pathname.startsWith(base) ? `/${location.pathname.slice(base.length)}` : home;
}

function show(next: string): void {
  path = next;
  for (const listener of listeners) listener();
}

window.addEventListener('popstate', () => show(currentPath()));

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const usePath = (): string => useSyncExternalStore(subscribe, () => path);

export function routeOf(of: string): Route {
  if (of === home || of === '/index.html') return { kind: 'list' };
  const id = /^\/c\/([^/]+)\/?$/.exec(of)?.[1];
  return id === undefined ? { kind: 'unknown' } : { kind: 'conversation', id };
}

export const pathOf = (conversationId: string): string => `/c/${conversationId}`;

/** The href of a path, with the base. */
export const addressOf = (to: string): string => base + to.slice(1);

/**
 * Navigates to a path. In a narrow window a conversation replaces another one in the history, so that back leads to the list; in a wide
 * one, where the list is always visible, each is an entry of its own.
 */
export function go(to: string, replace = false): void {
  if (to !== path || replace) {
    const stays = replace || (matchMedia(narrow).matches && routeOf(path).kind === 'conversation' && routeOf(to).kind === 'conversation');
    const entry: Entry = stays ? ((history.state as Entry | null) ?? {}) : { from: path };
    history[stays ? 'replaceState' : 'pushState'](entry, '', addressOf(to));
  }
  show(to);
}

/** From a conversation to the list: goes back in the history if the list is the previous entry. */
export function leave(): void {
  if (!matchMedia(narrow).matches) return go(home);
  if ((history.state as Entry | null)?.from !== home) return go(home, true);
  show(home);
  history.back();
}

/** Click handler of links: navigates on a plain click, and leaves all others to the browser. */
export function follow(event: MouseEvent<HTMLAnchorElement>): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(`/${new URL(event.currentTarget.href).pathname.slice(base.length)}`);
}
