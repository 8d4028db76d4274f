import { locale, strings } from './strings.ts';

/** Formatters are created on first use, in the language of the page. */
const formatters = new Map<string, Intl.DateTimeFormat>();
function format(at: Date, options: Intl.DateTimeFormatOptions): string {
  const timeZone = zone();
  const key = `${locale} ${timeZone} ${JSON.stringify(options)}`;
  let formatter = formatters.get(key);
  if (!formatter) formatters.set(key, (formatter = new Intl.DateTimeFormat(locale, { ...options, timeZone })));
  return formatter.format(at);
}

/** The current time zone: a formatter keeps the one it was created with, and a page may stay open on a journey. */
function zone(): string {
  if (Math.abs(Date.now() - zoneAt) > 1000) {
    zoneAt = Date.now();
    zoneName = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
  return zoneName;
}
let zoneAt = -Infinity;
let zoneName = '';

/** 14:05, or 2:05 PM, by locale. */
export const timeOfDay = (at: Date): string => format(at, { timeStyle: 'short' });

/** Monday, 3 March 2025 at 14:05. */
export const fullTime = (at: Date): string => format(at, { dateStyle: 'full', timeStyle: 'short' });

/** The local calendar day as a sortable number. */
export const dayOf = (at: Date): number => Math.round(Date.UTC(at.getFullYear(), at.getMonth(), at.getDate()) / 86_400_000);

/** 3 March; with the year if it is not the current one. */
const dayInYear = (at: Date, now: Date, month: 'long' | 'short'): string =>
  format(at, { day: 'numeric', month, ...(at.getFullYear() !== now.getFullYear() && { year: 'numeric' }) });

/** The label of a day divider: Today, Yesterday, Monday, 3 March, 3 March 2024. */
export function dayLabel(at: Date, now: Date): string {
  const ago = dayOf(now) - dayOf(at);
  if (ago === 0) return strings.times.today;
  if (ago === 1) return strings.times.yesterday;
  if (ago > 1 && ago < 7) return format(at, { weekday: 'long' });
  return dayInYear(at, now, 'long');
}

/** A short time for the list: 14:05, Mon, 3 Mar, 03/03/2024. */
export function shortTime(at: Date, now: Date): string {
  const ago = dayOf(now) - dayOf(at);
  if (ago <= 0) return timeOfDay(at);
  if (ago < 7) return format(at, { weekday: 'short' });
  return at.getFullYear() === now.getFullYear() ? dayInYear(at, now, 'short') : format(at, { dateStyle: 'short' });
}

/** A relative time, as for "last seen". */
export function ago(at: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - at.getTime()) / 60_000);
  if (minutes < 1) return strings.times.justNow;
  if (minutes < 60) return strings.times.minutes(minutes);
  const days = dayOf(now) - dayOf(at);
  if (days === 0) return strings.times.todayAt(timeOfDay(at));
  if (days === 1) return strings.times.yesterdayAt(timeOfDay(at));
  return strings.times.on(dayInYear(at, now, 'long'));
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** The first grapheme: a flag, or a letter with combining marks. */
const firstOf = (word: string): string => graphemes.segment(word)[Symbol.iterator]().next().value?.segment ?? '?';

/** Truncates to so many graphemes. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  let end = 0;
  for (const { index, segment } of graphemes.segment(text.slice(0, length + 32))) {
    if (index + segment.length > length) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

/** One or two initials for the avatar. */
export function initials(name: string): string {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]];
  return letters.map((word) => firstOf(word ?? '?')).join('').toLocaleUpperCase(locale);
}

/** A stable number from 0 to 7 for an id. */
export function shadeOf(id: string): number {
  let hash = 0;
  for (let index = 0; index < id.length; index++) hash = (Math.imul(hash, 31) + id.charCodeAt(index)) | 0;
  return (hash >>> 7) & 7;
}
