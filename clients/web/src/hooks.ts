import { useWindowActive } from 'chat-react';
import { useEffect, useState, useSyncExternalStore } from 'react';

/** The current time, updated at an interval. */
export function useNow(interval = 30_000): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), interval);
    return () => clearInterval(timer);
  }, [interval]);
  return now;
}

/** True once the value has been true for some time: short interruptions are not shown. */
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

/** A modal dialog covers the messages: they are not marked as read meanwhile. */
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

/** Whether the window is visible and has the focus. */
export const isWindowActive = (): boolean => document.visibilityState === 'visible' && document.hasFocus();

/** Whether the window is active and no dialog covers it. */
export function useUncoveredWindow(): boolean {
  const isCovered = useSyncExternalStore(subscribeToDialogs, () => openDialogs > 0);
  return useWindowActive() && !isCovered;
}

interface Announcement {
  readonly id: number;
  readonly text: string;
}

const announcementListeners = new Set<(announcement: Announcement) => void>();
let announced = 0;

/** Announces a text to screen readers. */
export function announce(text: string): void {
  const announcement = { id: ++announced, text };
  for (const listener of announcementListeners) listener(announcement);
}

const remembered = 5;

/** The latest announcements, with an id each: the same text announced twice is read out twice. */
export function useAnnouncements(): readonly Announcement[] {
  const [all, setAll] = useState<readonly Announcement[]>([]);
  useEffect(() => {
    const add = (announcement: Announcement) => setAll((known) => [...known.slice(1 - remembered), announcement]);
    announcementListeners.add(add);
    return () => void announcementListeners.delete(add);
  }, []);
  return all;
}
