import { useSyncExternalStore, type MouseEvent } from 'react';
import { base } from './base.ts';

/** What an address of the page shows. */
export type Route = { readonly kind: 'list' } | { readonly kind: 'conversation'; readonly id: string } | { readonly kind: 'unknown' };

/** Kept with each entry of the history: where the person came from. */
interface Entry {
  readonly from?: string;
}

/** Below this width one sees the list or a conversation, not both. */
export const narrow = '(max-width: 719px)';

const listeners = new Set<() => void>();
const home = '/';

/** The path below the base. A step back takes the browser a moment; here it is done at once. */
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

/** For links: a path with the base in front. */
export const addressOf = (to: string): string => base + to.slice(1);

/**
 * Shows a path. In a narrow window one conversation takes the place of another, so that the way back leads to the list;
 * in a wide one, where the list is always there, each is a step of its own.
 */
export function go(to: string, replace = false): void {
  if (to !== path || replace) {
    const stays = replace || (matchMedia(narrow).matches && routeOf(path).kind === 'conversation' && routeOf(to).kind === 'conversation');
    const entry: Entry = stays ? ((history.state as Entry | null) ?? {}) : { from: path };
    history[stays ? 'replaceState' : 'pushState'](entry, '', addressOf(to));
  }
  show(to);
}

/** From a conversation to the list: where that is a step back it is taken back, so that the device's own way back leads on from there. */
export function leave(): void {
  if (!matchMedia(narrow).matches) return go(home);
  if ((history.state as Entry | null)?.from !== home) return go(home, true);
  show(home);
  history.back();
}

/** For links: a plain click stays on the page, any other is the browser's. */
export function follow(event: MouseEvent<HTMLAnchorElement>): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(`/${new URL(event.currentTarget.href).pathname.slice(base.length)}`);
}
