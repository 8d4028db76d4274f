import { peerOf } from 'chat-client';
import { useChat, useChatState, useMessageAlerts, useUnreadTitle } from 'chat-react';
import { useEffect, useRef, useSyncExternalStore } from 'react';
import { base } from './base.ts';
import { shortened } from './format.ts';
import { isWindowActive } from './hooks.ts';
import { isolated, nameOf } from './people.ts';
import { go, pathOf } from './router.ts';
import { changeSettings, settings } from './settings.ts';
import { strings } from './strings.ts';

const longestText = 200;

const permissionListeners = new Set<() => void>();

/** Whether the browser allows notifications; undefined if it does not support them. */
const permission = (): NotificationPermission | undefined => ('Notification' in window ? Notification.permission : undefined);

export const useNotificationPermission = (): NotificationPermission | undefined =>
  useSyncExternalStore((listener) => {
    permissionListeners.add(listener);
    return () => permissionListeners.delete(listener);
  }, permission);

/** Asks for permission to show notifications. Call it only when the user has requested that. */
export async function turnOnNotifications(): Promise<void> {
  const answer = await Notification.requestPermission();
  changeSettings({ notifies: answer === 'granted' });
  for (const listener of permissionListeners) listener();
}

let audio: AudioContext | undefined;

/** Two short notes, synthesized: there is no file to load. */
export function playSound(): void {
  // Before the first user gesture the browser would delay the sound.
  if (typeof AudioContext === 'undefined' || navigator.userActivation?.hasBeenActive === false) return;
  audio ??= new AudioContext();
  if (audio.state === 'suspended') void audio.resume();
  const now = audio.currentTime;
  for (const [frequency, at] of [[660, now], [880, now + 0.11]] as const) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.12, at + 0.01);
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.25);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.26);
  }
}

async function workerNotifies(title: string, options: NotificationOptions): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration(base);
  await registration?.showNotification(title, options);
}

/** Shows a notification and plays a sound for new messages, if enabled and the window is inactive. */
export function useAlerts(shown: string | null): void {
  const me = useChatState((state) => state.me?.userId);
  const notifications = useRef(new Map<string, Notification>());

  useMessageAlerts({
    onMessage({ conversationId, content }, conversation) {
      if (isWindowActive() && shown === conversationId) return;
      const { notifies, sounds } = settings();
      if (sounds) playSound();
      if (!notifies || permission() !== 'granted' || isWindowActive()) return;
      const name = isolated(nameOf(peerOf(conversation, me)));
      const path = pathOf(conversationId);
      const options = { body: shortened(content, longestText), tag: conversationId, icon: `${base}icon-192.png`, data: path };
      let notification: Notification;
      try {
        notification = new Notification(name, options);
      } catch {
        // On Android only a service worker can show notifications; it handles the click itself.
        void workerNotifies(name, options);
        return;
      }
      notification.onclick = () => {
        window.focus();
        go(path);
        notification.close();
      };
      notifications.current.set(conversationId, notification);
    },
    onRead(conversationId) {
      notifications.current.get(conversationId)?.close();
      notifications.current.delete(conversationId);
    },
  });

  // Signed out.
  useEffect(() => {
    const all = notifications.current;
    return () => {
      for (const notification of all.values()) notification.close();
      all.clear();
    };
  }, []);
}

/** Shows the unread count in the title, the favicon and the app badge. */
export function useUnreadMarks(shown: string | null): void {
  const { totalUnread, me } = useChat();
  const name = useChatState((state) => {
    const conversation = shown === null ? undefined : state.conversations[shown];
    return conversation && nameOf(peerOf(conversation, me?.userId));
  });

  useUnreadTitle(name === undefined ? strings.product : `${isolated(name)} · ${strings.product}`);

  const isUnread = totalUnread > 0;
  useEffect(() => {
    document.querySelector<HTMLLinkElement>('link[rel="icon"]')!.href = `${base}${isUnread ? 'favicon-unread.svg' : 'favicon.svg'}`;
  }, [isUnread]);

  useEffect(() => {
    if (!('setAppBadge' in navigator)) return;
    // Only installed apps have a badge.
    navigator.setAppBadge(totalUnread).catch((failure: unknown) => console.debug(failure));
  }, [totalUnread]);

  // Signed out.
  useEffect(
    () => () => {
      document.querySelector<HTMLLinkElement>('link[rel="icon"]')!.href = `${base}favicon.svg`;
      if ('clearAppBadge' in navigator) navigator.clearAppBadge().catch((failure: unknown) => console.debug(failure));
    },
    [],
  );
}
