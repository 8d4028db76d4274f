/**
 * URLs are built as text: React Native's URL class has no setters, and some of its getters throw.
 */

const absolute = /^(?:https?|wss?):\/\/[^/?#\s]+[^?#\s]*/i;

/** The server's URL without a trailing slash. Throws a TypeError for anything but an absolute http(s) or ws(s) URL. */
export function baseOf(url: string | URL): string {
  const base = absolute.exec(String(url))?.[0];
  if (base === undefined)
    throw new TypeError(`createChat: url must be the server's whole address, as in https://chat.example.org; it is ${JSON.stringify(String(url))}.`);
  return base.replace(/^ws/i, 'http').replace(/\/+$/, '');
}

export const socketAddress = (base: string): string => `${base.replace(/^http/i, 'ws')}/chat/ws`;

export function restAddress(base: string, path: string, query: Readonly<Record<string, string | number | undefined>> = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]));
  return `${base}/chat/${path}${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`;
}

const loopback = /^http:\/\/(?:localhost|[^/:]+\.localhost|127(?:\.\d+){3}|\[::1\])(?::|\/|$)/i;

/** Whether a browser refuses the address as mixed content: an https page may talk to https, and to this machine. */
export function isMixedContent(base: string): boolean {
  const page = (globalThis as { location?: { protocol?: string } }).location?.protocol;
  return page === 'https:' && /^http:/i.test(base) && !loopback.test(base);
}
