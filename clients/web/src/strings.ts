import { en, type Strings } from './locales/en.ts';
import { setNumbers } from './plurals.ts';

/** Loaded on demand. English, the fallback, is in the first load. */
const others: Record<string, () => Promise<Strings>> = {
  ar: async () => (await import('./locales/ar.ts')).ar,
  de: async () => (await import('./locales/de.ts')).de,
  es: async () => (await import('./locales/es.ts')).es,
  fr: async () => (await import('./locales/fr.ts')).fr,
};

const rightToLeft = new Set(['ar']);

/** All strings of the page. Set once before the first render: read it while rendering, not at the top of a module. */
export let strings: Strings = en;

/** The language of the strings with the user's preferred region, for dates and numbers. */
export let locale = 'en';

/** Loads the first of the user's languages that is available. */
export async function loadStrings(languages: readonly string[]): Promise<void> {
  locale = languages.find((tag) => languageOf(tag) === 'en' || others[languageOf(tag)] !== undefined) ?? 'en';
  setNumbers(locale);
  const language = languageOf(locale);
  strings = (await others[language]?.()) ?? en;
}

/** The writing direction of the language. */
export const direction = (): 'ltr' | 'rtl' => (rightToLeft.has(languageOf(locale)) ? 'rtl' : 'ltr');

export const languageOf = (tag: string): string => tag.split('-', 1)[0]!.toLowerCase();
