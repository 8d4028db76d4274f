/** What a close code tells the client to do. */
export type ReconnectAdvice = 'reconnect' | 'refreshToken' | 'giveUp';

/** 1002, 1003, 1007, 1009 and 4500 to 4999: not without a change. All others, 1006 included: reconnect. */
export function reconnectAdvice(code: number | undefined): ReconnectAdvice {
  if (code === 4401) return 'refreshToken';
  if (code === 1002 || code === 1003 || code === 1007 || code === 1009) return 'giveUp';
  return code !== undefined && code >= 4500 && code <= 4999 ? 'giveUp' : 'reconnect';
}

/** Full jitter: anything from zero to a bound that doubles with each failure, so that clients spread out. */
export function backoffDelay(attempt: number, base: number, cap: number, random: () => number): number {
  return Math.round(random() * Math.min(cap, base * 2 ** Math.min(attempt - 1, 30)));
}
