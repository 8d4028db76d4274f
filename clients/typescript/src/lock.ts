/**
 * Runs under a lock that all tabs share, where the browser has Web Locks. A suspended or hanging tab may hold it, so after `timeout`
 * milliseconds the lock is stolen.
 */
export async function exclusively<Result>(
  name: string, timeout: number, run: () => Promise<Result>, signal?: AbortSignal,
): Promise<Result> {
  const locks = (globalThis.navigator as Partial<Navigator> | undefined)?.locks;
  if (!locks) return run();
  const waiting = new AbortController();
  const giveUp = () => waiting.abort();
  const timer = setTimeout(giveUp, timeout);
  signal?.addEventListener('abort', giveUp);
  let running: Promise<Result> | undefined;
  const hold = () => {
    clearTimeout(timer);
    running = run();
    return running;
  };
  try {
    return await locks.request(name, { signal: waiting.signal }, hold);
  } catch (failure) {
    // It has failed, or its lock was stolen while it ran: then let it finish.
    if (running) return running;
    if (signal?.aborted) throw failure;
    return await locks.request(name, { steal: true }, hold).catch(() => running ?? run());
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}
