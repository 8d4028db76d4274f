import { useWindowActive } from 'chat-react';
import { useEffect, useState, useSyncExternalStore } from 'react';

/** The present, which moves on by itself. */
export function useNow(every = 30_000): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** True once the value has been true for a while: what is over in a moment is not worth a word. */
export function useDelayedTrue(value: boolean, milliseconds: number): boolean {
  const [lasting, setLasting] = useState(false);
  useEffect(() => {
    if (!value) return setLasting(false);
    const timer = setTimeout(() => setLasting(true), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return value && lasting;
}

/** Whether a media query matches. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const list = matchMedia(query);
      list.addEventListener('change', listener);
      return () => list.removeEventListener('change', listener);
    },
    () => matchMedia(query).matches,
  );
}

let openDialogs = 0;
const dialogListeners = new Set<() => void>();

/** A modal dialog hides what is behind it: nothing of that is read. */
export function dialogOpened(): () => void {
  openDialogs++;
  for (const listener of dialogListeners) listener();
  return () => {
    openDialogs--;
    for (const listener of dialogListeners) listener();
  };
}

const subscribeToDialogs = (listener: () => void) => {
  dialogListeners.add(listener);
  return () => dialogListeners.delete(listener);
};

/** Whether somebody looks at this window. */
export const isInFront = (): boolean => document.visibilityState === 'visible' && document.hasFocus();

/** Whether somebody looks at this window, with nothing in front of it. */
export function useClearView(): boolean {
  const isCovered = useSyncExternalStore(subscribeToDialogs, () => openDialogs > 0);
  return useWindowActive() && !isCovered;
}

interface Announcement {
  readonly id: number;
  readonly text: string;
}

const heard = new Set<(announcement: Announcement) => void>();
let announced = 0;

/** Says something to those who read with their ears. */
export function announce(text: string): void {
  const announcement = { id: ++announced, text };
  for (const listener of heard) listener(announcement);
}

const remembered = 5;

/** The latest announcements. Each is an element of its own, so that the same text is read out twice if it is said twice. */
export function useAnnouncements(): readonly Announcement[] {
  const [all, setAll] = useState<readonly Announcement[]>([]);
  useEffect(() => {
    const add = (announcement: Announcement) => setAll((known) => [...known.slice(1 - remembered), announcement]);
    heard.add(add);
    return () => void heard.delete(add);
  }, []);
  return all;
}
