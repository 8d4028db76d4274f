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
export function useLasting(value: boolean, milliseconds: number): boolean {
  const [lasting, setLasting] = useState(false);
  useEffect(() => {
    if (!value) return setLasting(false);
    const timer = setTimeout(() => setLasting(true), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return value && lasting;
}

const subscribeToAttention = (listener: () => void) => {
  window.addEventListener('focus', listener);
  window.addEventListener('blur', listener);
  document.addEventListener('visibilitychange', listener);
  return () => {
    window.removeEventListener('focus', listener);
    window.removeEventListener('blur', listener);
    document.removeEventListener('visibilitychange', listener);
  };
};

/** Whether somebody looks at this window. */
export const useAttention = (): boolean =>
  useSyncExternalStore(subscribeToAttention, () => document.visibilityState === 'visible' && document.hasFocus());

const heard = new Set<(text: string) => void>();

/** Says something to those who read with their ears. */
export function announce(text: string): void {
  for (const listener of heard) listener(text);
}

export function useAnnouncement(): string {
  const [text, setText] = useState('');
  useEffect(() => {
    heard.add(setText);
    return () => void heard.delete(setText);
  }, []);
  return text;
}
