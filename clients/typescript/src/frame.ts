import type { ServerEvent } from './wire.js';

/** The event in a text frame; undefined if there is none, as in what a proxy may send. */
export function parseEvent(data: string): ServerEvent | undefined {
  try {
    const event = JSON.parse(data) as ServerEvent | null;
    return typeof event?.type === 'string' ? ({ ...event, payload: event.payload ?? {} } as ServerEvent) : undefined;
  } catch {
    return undefined;
  }
}
