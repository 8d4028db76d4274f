/** Reports an error thrown by the application's own code, without failing here. */
export function report(failure: unknown): void {
  const { reportError } = globalThis as { reportError?: (failure: unknown) => void };
  if (reportError) reportError(failure);
  else console.error(failure);
}
