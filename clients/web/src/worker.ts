import { base } from './base.ts';
import { go, routeOf } from './router.ts';

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: () => string }): { createScriptURL(address: string): string };
}

/** Registers the service worker, which caches the page. Without one (plain http, a private window) everything else works. */
export async function startWorker(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const { trustedTypes } = window as { trustedTypes?: TrustedTypes };
  // The only script URL that the Trusted Types policy allows.
  const policy = trustedTypes?.createPolicy('chat-worker', { createScriptURL: () => `${base}sw.js` });
  const address = policy?.createScriptURL('') ?? `${base}sw.js`;
  navigator.serviceWorker.addEventListener('message', ({ data }: MessageEvent<{ type?: unknown; path?: unknown }>) => {
    if (data.type === 'open' && typeof data.path === 'string' && routeOf(data.path).kind === 'conversation') go(data.path);
  });
  await navigator.serviceWorker.register(address, { scope: base });
  const { active } = await navigator.serviceWorker.ready;
  active?.postMessage(performance.getEntriesByType('resource').map(({ name }) => name));
}
