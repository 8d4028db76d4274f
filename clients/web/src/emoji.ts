import { webStorage } from 'chat-client';
import { useEffect, useState } from 'react';
import { languageOf, locale } from './strings.ts';

export interface Emoji {
  readonly text: string;
  readonly codes: readonly string[];
  readonly name: string;
  /** Search terms: shortcodes, then the name, then other words. */
  readonly words: readonly string[];
}

export interface EmojiSet {
  /** The language of the names, which are not available in every language. */
  readonly language: string;
  readonly groups: readonly (readonly Emoji[])[];
  readonly byCode: ReadonlyMap<string, Emoji>;
}

type Data = Promise<{ default: readonly string[] }>;

const english = () => import('virtual:emoji-en') as Data;
const names: Record<string, () => Data> = {
  de: () => import('virtual:emoji-de'),
  es: () => import('virtual:emoji-es'),
  fr: () => import('virtual:emoji-fr'),
};

const marks = /\p{M}/gu;
const plain = (text: string): string => text.normalize('NFD').replace(marks, '').toLowerCase();

let loading: Promise<EmojiSet> | undefined;

/** All emoji, loaded on first use, and again after a failure. */
export function loadEmoji(): Promise<EmojiSet> {
  loading ??= load().catch((failure: unknown) => {
    loading = undefined;
    throw failure;
  });
  return loading;
}

async function load(): Promise<EmojiSet> {
  const own = languageOf(locale);
  const language = own in names ? own : 'en';
  const [codes, named] = await Promise.all([import('virtual:emoji'), (names[language] ?? english)()]);
  const groups = codes.default.map((group, index) => {
    const lines = named.default[index]!.split('\n');
    return group.split('\n').map((line, at): Emoji => {
      const [text, ...own] = line.split(' ');
      const [name, tags] = lines[at]!.split('|');
      return { text: text!, codes: own, name: name!, words: [...own, ...plain(`${name} ${tags}`).split(/[^\p{L}\p{N}]+/u)] };
    });
  });
  const byCode = new Map(groups.flatMap((group) => group.flatMap((emoji) => emoji.codes.map((code) => [code, emoji] as const))));
  return { language, groups, byCode };
}

/** All emoji, loaded once they are wanted. */
export function useEmoji(wanted: boolean): { readonly set: EmojiSet | undefined; readonly hasFailed: boolean } {
  const [set, setSet] = useState<EmojiSet>();
  const [hasFailed, setFailed] = useState(false);
  useEffect(() => {
    if (!wanted) return;
    let isCurrent = true;
    setFailed(false);
    loadEmoji().then(
      (loaded) => isCurrent && setSet(loaded),
      () => isCurrent && setFailed(true),
    );
    return () => void (isCurrent = false);
  }, [wanted]);
  return { set, hasFailed };
}

/** The best matches: by shortcode, by part of a shortcode, by other words. All search words must match. */
export function findEmoji(set: EmojiSet, query: string, most: number): readonly Emoji[] {
  const wanted = plain(query).split(/\s+/).filter((word) => word !== '');
  if (wanted.length === 0) return [];
  const found: { emoji: Emoji; rank: number }[] = [];
  for (const emoji of set.groups.flat()) {
    const ranks = wanted.map((word) => rankOf(emoji, word));
    if (ranks.every((rank) => rank >= 0)) found.push({ emoji, rank: Math.max(...ranks) });
  }
  return found
    .sort((one, other) => one.rank - other.rank)
    .slice(0, most)
    .map(({ emoji }) => emoji);
}

function rankOf({ codes, words }: Emoji, wanted: string): number {
  if (codes.includes(wanted)) return 0;
  // Of several with the same prefix, the closest in length.
  const length = Math.min(...codes.filter((code) => code.startsWith(wanted)).map((code) => code.length));
  if (length < Infinity) return 1 + length / 100;
  if (codes.some((code) => code.includes(`_${wanted}`))) return 2;
  return words.some((word) => word.startsWith(wanted)) ? 3 : -1;
}

/** No shortcodes within code. */
const isCode = (text: string): boolean => (text.match(/`/g)?.length ?? 0) % 2 === 1;

const opened = /(?<![\p{L}\p{N}:/]):([\p{L}\p{N}_+-]{2,32})$/u;
const closed = /(?<![\p{L}\p{N}:/]):([a-z0-9_+-]{1,64}):$/iu;

interface Typed {
  /** Index of the first colon. */
  readonly at: number;
  readonly name: string;
}

function typedAs(pattern: RegExp, text: string): Typed | undefined {
  const match = pattern.exec(text);
  return match && !isCode(text.slice(0, match.index)) ? { at: match.index, name: match[1]!.toLowerCase() } : undefined;
}

/** The unfinished shortcode before the caret, such as `:smi`. */
export const openedCode = (text: string): Typed | undefined => typedAs(opened, text);

/** The complete shortcode before the caret, such as `:smile:`. */
export const closedCode = (text: string): Typed | undefined => typedAs(closed, text);

const mostRecent = 24;
const storage = webStorage('localStorage');
const keyOf = (userId: string): string => `chat.emoji.${userId}`;

/** A user's recent emoji on this device, latest first. */
export function recentEmoji(userId: string): readonly string[] {
  return (storage.get(keyOf(userId)) ?? '').split(' ').filter((text) => text !== '');
}

export function rememberEmoji(userId: string, text: string): void {
  storage.set(keyOf(userId), [text, ...recentEmoji(userId).filter((other) => other !== text)].slice(0, mostRecent).join(' '));
}

export function forgetEmoji(userId: string): void {
  storage.remove(keyOf(userId));
}
