import type { TimelineItem } from 'chat-client';
import { dayLabel, dayOf } from './format.ts';

/** A row of the message list. */
export type Row =
  | { readonly kind: 'top' | 'end' | 'unread'; readonly key: string }
  | { readonly kind: 'day'; readonly key: string; readonly label: string }
  | { readonly kind: 'message'; readonly key: string; readonly item: TimelineItem; readonly first: boolean; readonly last: boolean };

/** Messages of one sender within this time form a group. */
const together = 5 * 60_000;

/**
 * Adds day dividers, the unread divider, the top and the end to the messages.
 * @param readUpTo The number after which the divider is placed, before the first message from others; null for none.
 */
export function rowsOf(items: readonly TimelineItem[], readUpTo: number | null, now: Date): Row[] {
  const rows: Row[] = [{ kind: 'top', key: 'top' }];
  let day: number | undefined;
  let divided = readUpTo === null;
  let before: { item: TimelineItem; at: number } | undefined;
  for (const item of items) {
    const date = new Date(item.at);
    const at = date.getTime();
    let breaks = !before || before.item.isOwn !== item.isOwn || before.item.senderId !== item.senderId || at - before.at > together;
    if (dayOf(date) !== day) {
      day = dayOf(date);
      rows.push({ kind: 'day', key: `day-${day}-${item.key}`, label: dayLabel(date, now) });
      breaks = true;
    }
    if (!divided && !item.isOwn && item.message && item.message.seq > readUpTo!) {
      divided = true;
      rows.push({ kind: 'unread', key: 'unread' });
      breaks = true;
    }
    const previous = rows[rows.length - 1];
    if (breaks && previous?.kind === 'message') rows[rows.length - 1] = { ...previous, last: true };
    else if (breaks) closeLast(rows);
    rows.push({ kind: 'message', key: item.key, item, first: breaks, last: false });
    before = { item, at };
  }
  closeLast(rows);
  rows.push({ kind: 'end', key: 'end' });
  return rows;
}

// A divider ends the group before it.
function closeLast(rows: Row[]): void {
  for (let index = rows.length - 1; index >= 0; index--) {
    const row = rows[index]!;
    if (row.kind !== 'message') continue;
    if (!row.last) rows[index] = { ...row, last: true };
    return;
  }
}

/** The number of the last message at or before a row. */
export function lastSeqAt(rows: readonly Row[], from: number): number {
  for (let index = from; index >= 0; index--) {
    const row = rows[index];
    if (row?.kind === 'message' && row.item.message) return row.item.message.seq;
  }
  return 0;
}
