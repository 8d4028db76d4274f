import { useSyncExternalStore } from 'react';

export type TextSize = 'small' | 'normal' | 'large' | 'larger';

/** What a person has chosen on this device. */
export interface Settings {
  readonly textSize: TextSize;
  /** Whether Enter sends. Undefined: it does where there is a keyboard, and makes a line on a phone. */
  readonly enterSends?: boolean;
  /** Whether new messages are told of by a notification, and by a sound. */
  readonly notifies: boolean;
  readonly sounds: boolean;
}

const key = 'chat.settings';
const defaults: Settings = { textSize: 'normal', notifies: false, sounds: false };
const listeners = new Set<() => void>();
let current = stored();

/** A browser may refuse its storage, or keep what another version wrote. */
function stored(): Settings {
  try {
    return { ...defaults, ...(JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Settings>) };
  } catch {
    return defaults;
  }
}

export const settings = (): Settings => current;

export function changeSettings(change: Partial<Settings>): void {
  current = { ...current, ...change };
  try {
    localStorage.setItem(key, JSON.stringify(current));
  } catch {
    // It lasts as long as the page.
  }
  applySettings();
  for (const listener of listeners) listener();
}

export function applySettings(): void {
  document.documentElement.dataset.textSize = current.textSize;
}

// Another window of the same browser has changed them.
window.addEventListener('storage', (event) => {
  if (event.key !== key) return;
  current = stored();
  applySettings();
  for (const listener of listeners) listener();
});

export const useSettings = (): Settings =>
  useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, settings);
