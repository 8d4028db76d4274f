/** The plural forms of a sentence, with `#` for the number. */
type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { readonly other: string };

let numbers = new Intl.NumberFormat('en');

/** The locale of numbers. Set together with the language. */
export function setNumbers(locale: string): void {
  numbers = new Intl.NumberFormat(locale);
}

/** 1,234 with the digits and separators of the locale. */
export const number = (value: number): string => numbers.format(value);

/** Selects the plural form for a number. */
export function pluralsOf(language: string): (count: number, forms: Forms) => string {
  const rules = new Intl.PluralRules(language);
  return (count, forms) => (forms[rules.select(count)] ?? forms.other).replace('#', number(count));
}
