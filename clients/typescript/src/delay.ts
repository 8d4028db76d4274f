/** Waits, or until the signal is aborted. */
export function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }

    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener('abort', done);
  });
}

/** Rejects after a time-out, even if the operation ignores the signal. */
export function withTimeout<Result>(
  milliseconds: number, run: (signal: AbortSignal) => Promise<Result>, late?: () => void,
): Promise<Result> {
  const controller = new AbortController();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      late?.();
      reject(new Error(`No answer within ${milliseconds} ms.`));
      controller.abort();
    }, milliseconds);
    run(controller.signal)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
