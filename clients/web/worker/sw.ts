/**
 * Caches the page itself, so that it opens offline, and opens the conversation of a notification. It requests nothing that the page does
 * not request, and caches no messages.
 */
const worker = self as unknown as ServiceWorkerGlobalScope;

const cacheName = 'chat-page';
/** The base URL of the page; all its paths are one document. */
const base = new URL('.', worker.location.href);
/** After this time-out the cached page is shown. */
const patience = 3_000;
const isAsset = (url: URL) => url.origin === base.origin && url.pathname.startsWith(`${base.pathname}assets/`);

worker.addEventListener('install', (event) => {
  event.waitUntil(
    fetch(base, { cache: 'no-cache' }).then(async (answer) => {
      if (!answer.ok) throw new Error(`The page answers ${answer.status}.`);
      await keep(answer);
      await worker.skipWaiting();
    }),
  );
});
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== base.origin) return;
  if (isAsset(url)) event.respondWith(asset(request));
  else if (request.mode === 'navigate' && isPage(url)) event.respondWith(page(event));
});

/** Assets that were loaded before this worker was active, such as a language. */
worker.addEventListener('message', (event) => {
  const addresses: unknown = event.data;
  if (!Array.isArray(addresses)) return;
  const assets = addresses.filter((address): address is string => typeof address === 'string' && isAsset(new URL(address, base)));
  event.waitUntil(add(assets));
});

worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const path: unknown = event.notification.data;
  if (typeof path === 'string' && path.startsWith('/c/')) event.waitUntil(open(path));
});

const isPage = ({ pathname }: URL): boolean => {
  const path = pathname.startsWith(base.pathname) ? pathname.slice(base.pathname.length) : undefined;
  return path === '' || path === 'index.html' || path?.startsWith('c/') === true;
};

/** The current page from the server; the cached one if there is no answer, or none from the server itself. */
async function page(event: FetchEvent): Promise<Response> {
  const cache = await caches.open(cacheName);
  try {
    const answer = await fetch(event.request, { signal: AbortSignal.timeout(patience) });
    if (answer.status < 500) {
      if (answer.ok) event.waitUntil(keep(answer.clone()));
      return answer;
    }
    return (await cache.match(base)) ?? answer;
  } catch (failure) {
    const known = await cache.match(base);
    if (known) return known;
    throw failure;
  }
}

/** The name of an asset has a hash of its content: a cached one is always current. */
async function asset(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  const known = await cache.match(request);
  if (known) return known;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

/** Caches the assets before the page, so that the cache is always complete, and removes those of older pages. */
async function keep(answer: Response): Promise<void> {
  const cache = await caches.open(cacheName);
  const text = await answer.clone().text();
  if ((await (await cache.match(base))?.text()) === text) return;
  const own = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => new URL(address!, base)).filter(isAsset);
  await add(own.map(({ href }) => href));
  await cache.put(base, answer);
  const wanted = new Set([base.href, ...own.map(({ href }) => href)]);
  for (const request of await cache.keys()) if (!wanted.has(request.url)) await cache.delete(request);
}

async function add(addresses: readonly string[]): Promise<void> {
  const cache = await caches.open(cacheName);
  for (const address of addresses) if (!(await cache.match(address))) await cache.add(address);
}

async function open(path: string): Promise<void> {
  const windows = await worker.clients.matchAll({ type: 'window' });
  const window = windows[0];
  if (!window) {
    await worker.clients.openWindow(base.pathname + path.slice(1));
    return;
  }
  window.postMessage({ type: 'open', path });
  await window.focus();
}
