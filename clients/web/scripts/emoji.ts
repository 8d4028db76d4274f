import { createRequire } from 'node:module';
import type { Plugin } from 'vite';

/**
 * `virtual:emoji` and `virtual:emoji-<language>`: the part of emojibase's data that the page needs, in the same order. A group is a
 * string with a line for each emoji: the emoji and its shortcodes in the first, its name and other search words in the second.
 */
const prefix = 'virtual:emoji';
/** The latest emoji version that current devices can display. */
const newest = 15.1;
/** The variation selector is not needed where emoji presentation is the default. */
const needless = /(\p{Emoji_Presentation})\uFE0F/gu;
/** Components of other emoji: skin tones, hair. */
const components = 2;
const groups = [0, 1, 3, 4, 5, 6, 7, 8, 9];

interface Entry {
  readonly emoji: string;
  readonly hexcode: string;
  readonly label: string;
  readonly tags?: readonly string[];
  readonly group?: number;
  readonly order: number;
  readonly version: number;
}

type Shortcodes = Readonly<Record<string, string | readonly string[]>>;

const load = createRequire(import.meta.url);

function entriesOf(language: string): readonly (readonly Entry[])[] {
  const all = load(`emojibase-data/${language}/data.json`) as readonly Entry[];
  const known = all.filter((entry) => entry.group !== undefined && entry.group !== components && entry.version <= newest);
  return groups.map((group) => known.filter((entry) => entry.group === group).toSorted((one, other) => one.order - other.order));
}

/** GitHub's shortcodes come first, since they are the best known; each shortcode belongs to one emoji only. */
function shortcodes(): string[] {
  const sources = ['github', 'emojibase'].map((name) => load(`emojibase-data/en/shortcodes/${name}.json`) as Shortcodes);
  const entries = entriesOf('en');
  const owners = new Map<string, string>();
  const codesOf = (source: Shortcodes, { hexcode }: Entry) => [source[hexcode] ?? []].flat();
  for (const source of sources)
    for (const entry of entries.flat()) for (const code of codesOf(source, entry)) if (!owners.has(code)) owners.set(code, entry.hexcode);
  return entries.map((group) =>
    lines(
      group.map((entry) => [
        entry.emoji.replace(needless, '$1'),
        ...new Set(sources.flatMap((source) => codesOf(source, entry)).filter((code) => owners.get(code) === entry.hexcode)),
      ]),
      ' ',
    ),
  );
}

function names(language: string): string[] {
  return entriesOf(language).map((group) =>
    lines(
      group.map(({ label, tags = [] }) => [label, tags.filter((tag) => !label.toLowerCase().includes(tag)).join(' ')]),
      '|',
    ),
  );
}

function lines(entries: readonly (readonly string[])[], separator: string): string {
  for (const parts of entries)
    for (const part of parts) if (part.includes('\n') || part.includes(separator)) throw new Error(`${JSON.stringify(part)} has a separator in it.`);
  return entries.map((parts) => parts.join(separator)).join('\n');
}

export function emoji(): Plugin {
  return {
    name: 'chat-emoji',
    resolveId: (id) => (id === prefix || id.startsWith(`${prefix}-`) ? `\0${id}` : undefined),
    load(id) {
      if (!id.startsWith(`\0${prefix}`)) return undefined;
      const language = id.slice(prefix.length + 2);
      return `export default ${JSON.stringify(language === '' ? shortcodes() : names(language))};`;
    },
  };
}
