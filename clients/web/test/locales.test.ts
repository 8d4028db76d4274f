import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import asyncapi from '../../../docs/asyncapi.yaml?raw';
import { ar } from '../src/locales/ar.ts';
import { de } from '../src/locales/de.ts';
import { en } from '../src/locales/en.ts';
import { es } from '../src/locales/es.ts';
import { fr } from '../src/locales/fr.ts';

const contract = parse(asyncapi) as { components: { schemas: { ErrorCode: { enum: string[] } } } };

describe.each(Object.entries({ ar, de, en, es, fr }))('%s', (_, { errors }) => {
  test('has a distinct text for each error code of the contract, and no others', () => {
    const codes = contract.components.schemas.ErrorCode.enum;
    // The client's own code, for requests without an answer.
    expect(Object.keys(errors).toSorted()).toEqual([...codes, 'OFFLINE'].toSorted());
    const words = Object.values(errors);
    expect(words.every((one) => one.trim() !== '')).toBe(true);
    expect(new Set(words).size).toBe(words.length);
  });
});
