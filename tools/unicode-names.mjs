// Makes src/Chat/Features/UserDirectory/Unicode.txt, by which usernames are compared, of the files of the Unicode
// Character Database (UnicodeData, CaseFolding, CompositionExclusions, DerivedCoreProperties, Scripts, ScriptExtensions,
// PropertyValueAliases) and of UTS #39 (confusables), all of one version, in one folder:
//
//   node tools/unicode-names.mjs FOLDER > src/Chat/Features/UserDirectory/Unicode.txt
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const lines = (name) => readFileSync(join(folder, `${name}.txt`), 'utf8').replace(/^\uFEFF/, '').split('\n');
const fields = (name) => lines(name).map((line) => line.replace(/#.*/, '').trim()).filter((line) => line).map((line) => line.split(';').map((part) => part.trim()));
const codes = (text) => text.split(' ').map((code) => parseInt(code, 16));
const hex = (list) => list.map((code) => code.toString(16).toUpperCase().padStart(4, '0')).join(' ');
const range = (text) => (text.includes('..') ? codes(text.replace('..', ' ')) : [parseInt(text, 16), parseInt(text, 16)]);
const last = 0x10ffff;
const version = lines('confusables').find((line) => line.startsWith('# Version:')).split(':')[1].trim();
if (!lines('CaseFolding')[0].includes(version)) throw new Error('files of different versions');

// General categories, decompositions, combining classes
const category = new Array(last + 1).fill('Cn');
const mapping = new Map();
const canonical = new Map();
const order = new Map();
let first = 0;
for (const line of lines('UnicodeData').filter((text) => text)) {
  const [code, name, kind, combining, , decomposition] = line.split(';');
  const point = parseInt(code, 16);
  if (name.endsWith('First>')) first = point;
  for (let each = name.endsWith('Last>') ? first : point; each <= point; each++) category[each] = kind;
  if (combining !== '0') order.set(point, combining);
  if (!decomposition) continue;
  mapping.set(point, codes(decomposition.replace(/<.*> /, '')));
  if (!decomposition.startsWith('<')) canonical.set(point, codes(decomposition));
}
const decompose = (point) => (mapping.has(point) ? mapping.get(point).flatMap(decompose) : [point]);
const excluded = new Set(fields('CompositionExclusions').map(([code]) => parseInt(code, 16)));
const composed = [...canonical].filter(([point, to]) => to.length === 2 && !excluded.has(point) && !order.has(point) && !order.has(to[0]));

const folded = fields('CaseFolding').filter(([, status]) => status === 'C' || status === 'F').map(([code, , to]) => [parseInt(code, 16), codes(to)]);

// What no username holds: what cannot be seen, and what is not assigned yet.
const refused = category.map((kind) => ['Cc', 'Cf', 'Cs', 'Co', 'Cn', 'Zl', 'Zp', 'Zs'].includes(kind));
for (const [where, property] of fields('DerivedCoreProperties'))
  if (property === 'Default_Ignorable_Code_Point') for (let [each, end] = range(where); each <= end; each++) refused[each] = true;
refused[0x20] = false;

// Scripts, for all but Common and Inherited
const short = new Map(fields('PropertyValueAliases').filter(([property]) => property === 'sc').map(([, abbreviation, name]) => [name, abbreviation]));
const scripts = new Array(last + 1);
for (const [where, name] of fields('Scripts')) for (let [each, end] = range(where); each <= end; each++) scripts[each] = short.get(name);
for (const [where, names] of fields('ScriptExtensions')) for (let [each, end] = range(where); each <= end; each++) scripts[each] = names.split(' ').sort().join(' ');
for (let each = 0; each <= last; each++) if (['Zyyy', 'Zinh'].includes(scripts[each])) scripts[each] = undefined;

// A prototype is looked up behind NFKC, which many of the sources do not survive.
const confusable = fields('confusables').map(([code, to]) => [parseInt(code, 16), codes(to)]).filter(([point]) => !refused[point] && decompose(point).length === 1 && decompose(point)[0] === point);

const runs = (values) => {
  const result = [];
  for (let each = 0; each <= last; each++) {
    if (values[each] === undefined || values[each] === false) continue;
    const run = result.at(-1);
    if (run && run.end === each - 1 && run.value === values[each]) run.end = each;
    else result.push({ start: each, end: each, value: values[each] });
  }
  return result;
};
const shown = ({ start, end }) => (start === end ? hex([start]) : `${hex([start])}..${hex([end])}`);
const out = [
  `# By what usernames are compared; made by tools/unicode-names.mjs of the Unicode Character Database and of UTS #39, ${version}.`,
  '# Copyright Unicode, Inc.; their terms of use and licence: https://www.unicode.org/license.txt. The data were joined and cut down.',
  '[decompose]', // Full compatibility decompositions, those of Hangul syllables apart
  ...[...mapping.keys()].sort((a, b) => a - b).map((point) => `${hex([point])}=${hex(decompose(point))}`),
  '[order]', // Canonical combining classes
  ...runs(Array.from({ length: last + 1 }, (_, point) => order.get(point))).map((run) => `${shown(run)}=${run.value}`),
  '[compose]',
  ...composed.map(([point, to]) => `${hex([point])}=${hex(to)}`),
  '[fold]', // Full case folding
  ...folded.map(([point, to]) => `${hex([point])}=${hex(to)}`),
  '[confusable]', // Prototypes of UTS #39
  ...confusable.sort(([a], [b]) => a - b).map(([point, to]) => `${hex([point])}=${hex(to)}`),
  '[refused]',
  ...runs(refused).map(shown),
  '[script]', // Script extensions, Common and Inherited apart
  ...runs(scripts).map((run) => `${shown(run)}=${run.value}`),
];
process.stdout.write(`${out.join('\n')}\n`);
