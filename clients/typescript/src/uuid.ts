/**
 * A random UUID (RFC 9562, version 4). `crypto.randomUUID` is there in secure contexts only: over plain http from another
 * machine it is missing, and `getRandomValues` is not. React Native has neither without a polyfill; an id is no secret, so that
 * `Math.random` will do there.
 */
export function uuid(): string {
  const { crypto } = globalThis as { crypto?: Partial<Crypto> };
  const bytes = crypto?.getRandomValues?.(new Uint8Array(16)) ?? Uint8Array.from({ length: 16 }, () => Math.random() * 256);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
