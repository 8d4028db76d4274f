import type { TimelineItem } from 'chat-client';
import { dayLabel, dayOf } from './format.ts';

/** One line of the list of messages, as it is drawn. */
export type Row =
  | { readonly kind: 'top' | 'end' | 'unread'; readonly key: string }
  | { readonly kind: 'day'; readonly key: string; readonly label: string }
  | { readonly kind: 'message'; readonly key: string; readonly item: TimelineItem; readonly first: boolean; readonly last: boolean };

/** Messages of one person within this time stand together. */
const together = 5 * 60_000;

/**
 * Puts days, the unread divider, top and end around the messages.
 * @param readUpTo The number after which the divider stands, before the first message of somebody else's; null for none.
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

// The message before a divider ends its group.
function closeLast(rows: Row[]): void {
  for (let index = rows.length - 1; index >= 0; index--) {
    const row = rows[index]!;
    if (row.kind !== 'message') continue;
    if (!row.last) rows[index] = { ...row, last: true };
    return;
  }
}
