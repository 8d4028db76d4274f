/** A part of a message. Joined, the texts of all parts are the message as it was typed. */
export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly href: string }
  /** Delimited by marks, which stay in the text so that copying gives what was typed. */
  | { readonly kind: 'code' | 'block'; readonly open: string; readonly text: string; readonly close: string }
  | { readonly kind: 'bold' | 'italic'; readonly open: string; readonly parts: readonly Part[]; readonly close: string };

const fence = /```\n?([\s\S]+?)\n?```/;
const inlineCode = /(?<!`)`(?=[^`\n]*[^`\s])([^`\n]+)`(?!`)/;
// Not within a word: snake_case_names and 2*3*4 stay as they are.
const bold = /(?<![\p{L}\p{N}*_])\*(?![\s*])([^*\n]*?[^\s*])\*(?![\p{L}\p{N}*])/u;
const italic = /(?<![\p{L}\p{N}*_])_(?![\s_])([^_\n]*?[^\s_])_(?![\p{L}\p{N}_])/u;
const link = /(?<![\p{L}\p{N}@/.:])(?:https?:\/\/|mailto:)[^\s<>"`\u0000-\u001f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/iu;

/** Parses a message. Whatever is not recognized is plain text. */
export function partsOf(text: string): readonly Part[] {
  return split(text, [fenced, coded, linked, marked('bold', bold), marked('italic', italic)]);
}

interface Found {
  readonly at: number;
  readonly length: number;
  readonly part: Part;
}

type Finder = (text: string, inner: (text: string) => readonly Part[]) => Found | null;

/** Applies the finders in order: no links within code, no bold within links. */
function split(text: string, finders: readonly Finder[]): readonly Part[] {
  const [finder, ...rest] = finders;
  if (text === '') return [];
  if (!finder) return [{ kind: 'text', text }];
  const parts: Part[] = [];
  let remaining = text;
  for (let found = finder(remaining, (inner) => split(inner, rest)); found; found = finder(remaining, (inner) => split(inner, rest))) {
    parts.push(...split(remaining.slice(0, found.at), rest), found.part);
    remaining = remaining.slice(found.at + found.length);
  }
  parts.push(...split(remaining, rest));
  return parts;
}

const fenced: Finder = (text) => {
  const match = fence.exec(text);
  if (!match || match[1]!.trim() === '') return null;
  const at = match[0].indexOf(match[1]!, 3);
  const close = match[0].slice(at + match[1]!.length);
  return { at: match.index, length: match[0].length, part: { kind: 'block', open: match[0].slice(0, at), text: match[1]!, close } };
};

const coded: Finder = (text) => {
  const match = inlineCode.exec(text);
  return match && { at: match.index, length: match[0].length, part: { kind: 'code', open: '`', text: match[1]!, close: '`' } };
};

function linked(text: string): Found | null {
  let from = 0;
  for (let match = link.exec(text); match; match = link.exec(text.slice(from))) {
    const shown = trimmed(match[0]);
    const href = addressOf(shown);
    const at = from + match.index;
    if (href !== null) return { at, length: shown.length, part: { kind: 'link', text: shown, href } };
    from = at + match[0].length;
  }
  return null;
}

const marked =
  (kind: 'bold' | 'italic', pattern: RegExp): Finder =>
  (text, inner) => {
    const match = pattern.exec(text);
    if (!match) return null;
    const mark = match[0][0]!;
    return { at: match.index, length: match[0].length, part: { kind, open: mark, parts: inner(match[1]!), close: mark } };
  };

/** A full stop after a URL ends the sentence, and a closing bracket belongs to the URL only if it was opened there. */
function trimmed(address: string): string {
  for (;;) {
    const last = address.at(-1)!;
    if (/[.,;:!?'*_…]/u.test(last)) address = address.slice(0, -1);
    else if ((last === ')' && count(address, ')') > count(address, '(')) || (last === ']' && count(address, ']') > count(address, '[')))
      address = address.slice(0, -1);
    else return address;
  }
}

const count = (text: string, letter: string): number => text.split(letter).length - 1;

/** The URL if it is safe to link: an allowed scheme, and no credentials before the host. */
function addressOf(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.protocol === 'mailto:') return url.pathname.includes('@') ? url.href : null;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null;
  return url.username === '' && url.password === '' ? url.href : null;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const emoji = /^(?:\p{Extended_Pictographic}|\p{Regional_Indicator}{2}|[0-9#*]\uFE0F?\u20E3)/u;
const mostBig = 3;

/** Whether a message consists of one to three emoji, which are shown large. */
export function isBig(text: string): boolean {
  if (text.length > 64) return false;
  const all = [...graphemes.segment(text.trim())].map(({ segment }) => segment).filter((segment) => segment.trim() !== '');
  return all.length > 0 && all.length <= mostBig && all.every((segment) => emoji.test(segment));
}
