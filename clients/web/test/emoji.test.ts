import { describe, expect, test } from 'vitest';
import { closedCode, findEmoji, loadEmoji, openedCode } from '../src/emoji.ts';

describe('shortcodes', () => {
  test.each([
    [':smi', { at: 0, name: 'smi' }],
    ['so :Smi', { at: 3, name: 'smi' }],
    ['(:läch', { at: 1, name: 'läch' }],
    ['`done` :smi', { at: 7, name: 'smi' }],
  ])('%j starts one', (text, typed) => expect(openedCode(text)).toEqual(typed));
  test.each([':D', 'note:smi', 'http://smi', '::smi', '`:smi', ':smi ', ':smi:'])('%j starts none', (text) => expect(openedCode(text)).toBeUndefined());
  test('a closing colon completes one, but not within a word, a time or code', () => {
    expect(closedCode('so :+1:')).toEqual({ at: 3, name: '+1' });
    for (const text of ['10:30:', 'x:tada:', '`:tada:', ':ta da:', '::']) expect(closedCode(text)).toBeUndefined();
  });
});

test('every emoji has a name and a shortcode, and shortcodes are unique', async () => {
  const { groups, byCode } = await loadEmoji();
  const all = groups.flat();
  expect(groups).toHaveLength(9);
  expect(all.length).toBeGreaterThan(1_800);
  expect(new Set(all.map(({ text }) => text)).size).toBe(all.length);
  expect(all.filter(({ name }) => name === '')).toEqual([]);
  expect(all.filter(({ codes }) => codes.length === 0)).toEqual([]);
  expect(new Set(all.flatMap(({ codes }) => codes)).size).toBe(all.flatMap(({ codes }) => codes).length);
  expect(['tada', '+1', 'heart', 'smile'].map((code) => byCode.get(code)?.text)).toEqual(['🎉', '👍', '❤️', '😄']);
});

test('matches are ranked: shortcode, its prefix, a part of it, then other words', async () => {
  const set = await loadEmoji();
  const found = (query: string, most = 3) => findEmoji(set, query, most).map(({ text }) => text);
  expect(found('heart')[0]).toBe('❤️');
  expect(found('smi')[0]).toBe('😄');
  expect(found('octopus', 1)).toEqual(['🐙']);
  // In any order, ignoring diacritics and case.
  expect(found('Eyes HEART', 5)).toContain('😍');
  expect(found('pinata', 5)).toContain('🪅');
  expect(found('no such thing')).toEqual([]);
  expect(found(' ')).toEqual([]);
});
