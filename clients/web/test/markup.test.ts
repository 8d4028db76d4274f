import { describe, expect, test } from 'vitest';
import { isBig, partsOf, type Part } from '../src/markup.ts';

/** The message as typed, joined from its parts. */
const typed = (parts: readonly Part[]): string =>
  parts.map((part) => ('parts' in part ? part.open + typed(part.parts) + part.close : 'open' in part ? part.open + part.text + part.close : part.text)).join('');

const shown = (text: string): string[] =>
  partsOf(text).filter(({ kind }) => kind !== 'text').map((part) => `${part.kind}: ${'parts' in part ? typed(part.parts) : part.text}`);

describe('links', () => {
  test.each([
    ['see https://example.org/a?b=c#d.', ['link: https://example.org/a?b=c#d']],
    ['(http://example.org)', ['link: http://example.org']],
    ['https://en.wikipedia.org/wiki/A_(b), and', ['link: https://en.wikipedia.org/wiki/A_(b)']],
    ['mailto:a@b.example', ['link: mailto:a@b.example']],
    ['https://example.org/a_b_c and _this_', ['link: https://example.org/a_b_c', 'italic: this']],
    ['*https://example.org*', ['link: https://example.org']],
    ['xhttps://example.org', []],
    ['javascript:alert(1)', []],
    ['data:text/html,x', []],
    ['https://', []],
    ['mailto:nobody', []],
    ['https://bank.example@evil.example/', []],
    ['https://example.org/\u202Egpj.exe', ['link: https://example.org/']],
    ['ftp://example.org', []],
  ])('%s', (text, expected) => expect(shown(text)).toEqual(expected));

  test('allow only https, http and mailto', () => {
    for (const part of partsOf('HTTPS://EXAMPLE.ORG javascript://x https://a.example mailto:x@y.example'))
      if (part.kind === 'link') expect(new URL(part.href).protocol).toMatch(/^(https?|mailto):$/);
  });
});

describe('marks', () => {
  test.each([
    ['*bold* and _italic_', ['bold: bold', 'italic: italic']],
    ['*bold _and_ more*', ['bold: bold _and_ more']],
    ['2*3*4 snake_case_name', []],
    ['* not a list* and _ this _', []],
    ['`code *not bold*`', ['code: code *not bold*']],
    ['```\nlet a = *b*;\nlet c;\n```', ['block: let a = *b*;\nlet c;']],
    ['```one line```', ['block: one line']],
    ['`` ` ``` ```', []],
    ['*a\nb*', []],
  ])('%s', (text, expected) => expect(shown(text)).toEqual(expected));
});

test('the parts join to the text as typed', () => {
  const alphabet = ['*', '_', '`', '```', '\n', ' ', 'a', 'https://x.example', ')', 'م', '😀'];
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  for (let round = 0; round < 3000; round++) {
    const text = Array.from({ length: Math.floor(random() * 24) }, () => alphabet[Math.floor(random() * alphabet.length)]).join('');
    expect(typed(partsOf(text))).toBe(text);
  }
});

test('long messages are parsed in linear time', () => {
  for (const unit of ['*', '_', '`', '*a', '_a ', '```', 'https://', '(']) {
    const text = unit.repeat(4000 / unit.length);
    expect(typed(partsOf(text))).toBe(text);
  }
});

test('one to three emoji alone are large', () => {
  expect(['🎉', '👩‍🚀 🇦🇷', '❤️❤️❤️', '1️⃣'].map(isBig)).toEqual([true, true, true, true]);
  expect(['', '🎉🎉🎉🎉', 'a🎉', '1', '#', '©x', '   '].map(isBig)).toEqual([false, false, false, false, false, false, false]);
});
