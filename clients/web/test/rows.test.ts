import type { TimelineItem } from 'chat-client';
import { expect, test } from 'vitest';
import { ago, dayLabel, initials, shortened } from '../src/format.ts';
import { rowsOf } from '../src/rows.ts';
import { loadStrings } from '../src/strings.ts';

await loadStrings(['en-GB']);

const now = new Date(2026, 0, 31, 12, 0);

let seq = 0;
function item(isOwn: boolean, at: Date): TimelineItem {
  seq++;
  const message = { id: `${seq}`, conversationId: 'c', seq, changedSeq: seq, senderId: isOwn ? 'me' : 'other', type: 'text' as const, content: 'text', sentAt: at.toISOString() };
  return { key: `${seq}`, senderId: message.senderId, isOwn, content: 'text', at: message.sentAt, message };
}

const drawn = (items: TimelineItem[], readUpTo: number | null) =>
  rowsOf(items, readUpTo, now).map((row) => (row.kind === 'message' ? `${row.first ? '[' : ''}${row.key}${row.last ? ']' : ''}` : row.kind === 'day' ? row.label : row.kind));

test('messages of one sender form a group, until time, day, divider or the other sender ends it', () => {
  seq = 0;
  const at = (day: number, hour: number, minute: number) => new Date(2026, 0, day, hour, minute);
  const items = [item(false, at(30, 9, 0)), item(false, at(30, 9, 1)), item(false, at(30, 9, 30)), item(true, at(30, 9, 31)), item(false, at(31, 9, 0)), item(false, at(31, 9, 1)), item(false, at(31, 9, 2))];

  expect(drawn(items, 6)).toEqual(['top', 'Yesterday', '[1', '2]', '[3]', '[4]', 'Today', '[5', '6]', 'unread', '[7]', 'end']);
  expect(drawn(items, null)).not.toContain('unread');
  expect(drawn([], 0)).toEqual(['top', 'end']);
});

test('the divider is never placed before the user\'s own message', () => {
  seq = 0;
  const items = [item(true, now), item(false, now)];
  expect(drawn(items, 0)).toEqual(['top', 'Today', '[1]', 'unread', '[2]', 'end']);
});

test('relative times', () => {
  expect(ago(new Date(2026, 0, 31, 11, 59, 30), now)).toBe('just now');
  expect(ago(new Date(2026, 0, 31, 11, 59), now)).toBe('1 minute ago');
  expect(ago(new Date(2026, 0, 31, 8, 5), now)).toBe('today at 08:05');
  expect(ago(new Date(2026, 0, 30, 23, 0), now)).toBe('yesterday at 23:00');
  expect(dayLabel(new Date(2026, 0, 26), now)).toBe('Monday');
  expect(dayLabel(new Date(2025, 11, 24), now)).toBe('24 December 2025');
});

test('initials are whole graphemes of any script', () => {
  expect(initials('🇦🇷 fútbol')).toBe('🇦🇷F');
  expect(['Maya Lind', 'jonas', '👩‍🚀 x', 'نور', ' ', 'a.b_c'].map(initials)).toEqual(['ML', 'J', '👩‍🚀X', 'ن', '?', 'AC']);
});

test('truncation does not split graphemes', () => {
  expect(shortened('ab👩‍🚀cd', 3)).toBe('ab');
  expect(shortened('ab👩‍🚀cd', 7)).toBe('ab👩‍🚀');
  expect(shortened('short', 200)).toBe('short');
});
