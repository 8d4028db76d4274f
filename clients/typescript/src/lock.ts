/**
 * Runs alone among all tabs, where the browser has locks. Nobody waits for ever: a tab that was put to rest, or hangs, may
 * hold the lock, so that after `patience` milliseconds it is taken away.
 */
export async function exclusively<Result>(name: string, patience: number, run: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
  const locks = (globalThis.navigator as Partial<Navigator> | undefined)?.locks;
  if (!locks) return run();
  const waiting = new AbortController();
  const giveUp = () => waiting.abort();
  const timer = setTimeout(giveUp, patience);
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
    // Failed itself; or taken away meanwhile, and then it goes on all the same.
    if (running) return running;
    if (signal?.aborted) throw failure;
    return await locks.request(name, { steal: true }, hold).catch(() => running ?? run());
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}
