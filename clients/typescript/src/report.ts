/** A fault of the application's: it is to be seen there, and must not end the work here. */
export function report(failure: unknown): void {
  const { reportError } = globalThis as { reportError?: (failure: unknown) => void };
  if (reportError) reportError(failure);
  else console.error(failure);
}
