import { useSyncExternalStore } from 'react';

export type TextSize = 'small' | 'normal' | 'large' | 'larger';

/** The user's settings on this device. */
export interface Settings {
  readonly textSize: TextSize;
  /** Whether Enter sends. Undefined: yes on devices with a keyboard, no on phones. */
  readonly enterSends?: boolean;
  /** Whether new messages show a notification, and play a sound. */
  readonly notifies: boolean;
  readonly sounds: boolean;
}

const key = 'chat.settings';
const defaults: Settings = { textSize: 'normal', notifies: false, sounds: false };
const listeners = new Set<() => void>();
let current = stored();

/** Storage may be blocked, or contain what another version wrote. */
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
    // Then it lasts as long as the page.
  }
  applySettings();
  for (const listener of listeners) listener();
}

export function applySettings(): void {
  document.documentElement.dataset.textSize = current.textSize;
}

// Changed in another window of this browser.
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
