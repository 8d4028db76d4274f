import { strings } from './strings.ts';

const locale = 'en';
const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const weekday = new Intl.DateTimeFormat(locale, { weekday: 'long' });
const shortWeekday = new Intl.DateTimeFormat(locale, { weekday: 'short' });
const dayOfYear = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long' });
const shortDay = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const fullDay = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric' });
const numericDay = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: '2-digit', year: '2-digit' });

/** 14:05. */
export const timeOfDay = (at: Date): string => clock.format(at);

/** The calendar day that somebody here sees, as a number that compares. */
export const dayOf = (at: Date): number => Math.round(Date.UTC(at.getFullYear(), at.getMonth(), at.getDate()) / 86_400_000);

/** What stands between two days: Today, Yesterday, Monday, 3 March, 3 March 2024. */
export function dayLabel(at: Date, now: Date): string {
  const ago = dayOf(now) - dayOf(at);
  if (ago === 0) return strings.times.today;
  if (ago === 1) return strings.times.yesterday;
  if (ago > 1 && ago < 7) return weekday.format(at);
  return at.getFullYear() === now.getFullYear() ? dayOfYear.format(at) : fullDay.format(at);
}

/** What fits into a list: 14:05, Mon, 3 Mar, 03/03/24. */
export function shortTime(at: Date, now: Date): string {
  const ago = dayOf(now) - dayOf(at);
  if (ago <= 0) return timeOfDay(at);
  if (ago < 7) return shortWeekday.format(at);
  return at.getFullYear() === now.getFullYear() ? shortDay.format(at) : numericDay.format(at);
}

/** When somebody was last seen, as one would say it. */
export function ago(at: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - at.getTime()) / 60_000);
  if (minutes < 1) return strings.times.justNow;
  if (minutes < 60) return strings.times.minutes(minutes);
  const days = dayOf(now) - dayOf(at);
  if (days === 0) return strings.times.todayAt(timeOfDay(at));
  if (days === 1) return strings.times.yesterdayAt(timeOfDay(at));
  return strings.times.on(at.getFullYear() === now.getFullYear() ? dayOfYear.format(at) : fullDay.format(at));
}

/** One or two letters for somebody without a picture. */
export function initials(name: string): string {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]];
  return letters.map((word) => [...(word ?? '?')][0] ?? '?').join('').toLocaleUpperCase(locale);
}

/** A number from 0 to 7 that stays with somebody. */
export function shadeOf(id: string): number {
  let hash = 0;
  for (let index = 0; index < id.length; index++) hash = (Math.imul(hash, 31) + id.charCodeAt(index)) | 0;
  return (hash >>> 7) & 7;
}
