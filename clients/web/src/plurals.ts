/** The forms that a sentence takes with a number, which stands where `#` is. */
type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { readonly other: string };

let numbers = new Intl.NumberFormat('en');

/** Whose digits and marks numbers have. Set with the language of the strings. */
export function setNumbers(locale: string): void {
  numbers = new Intl.NumberFormat(locale);
}

/** 1,234 in the digits and with the marks of the language. */
export const number = (value: number): string => numbers.format(value);

/** Picks the form that a number takes in a language. */
export function pluralsOf(language: string): (count: number, forms: Forms) => string {
  const rules = new Intl.PluralRules(language);
  return (count, forms) => (forms[rules.select(count)] ?? forms.other).replace('#', number(count));
}
