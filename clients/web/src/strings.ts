import { en, type Strings } from './locales/en.ts';
import { setNumbers } from './plurals.ts';

/** Loaded when asked for; English is in the first load, since it is what is shown where nothing fits. */
const others: Record<string, () => Promise<Strings>> = {
  ar: async () => (await import('./locales/ar.ts')).ar,
  de: async () => (await import('./locales/de.ts')).de,
  es: async () => (await import('./locales/es.ts')).es,
  fr: async () => (await import('./locales/fr.ts')).fr,
};

const rightToLeft = new Set(['ar']);

/** Everything that the page says. Set once before anything is drawn, so read it while drawing and not at the top of a module. */
export let strings: Strings = en;

/** The language of the strings, with the region that the person prefers: for dates and numbers. */
export let locale = 'en';

/** Takes the first of the person's languages that the page speaks. */
export async function loadStrings(languages: readonly string[]): Promise<void> {
  locale = languages.find((tag) => languageOf(tag) === 'en' || others[languageOf(tag)] !== undefined) ?? 'en';
  setNumbers(locale);
  const language = languageOf(locale);
  strings = (await others[language]?.()) ?? en;
}

/** The direction in which the language is read. */
export const direction = (): 'ltr' | 'rtl' => (rightToLeft.has(languageOf(locale)) ? 'rtl' : 'ltr');

export const languageOf = (tag: string): string => tag.split('-', 1)[0]!.toLowerCase();
