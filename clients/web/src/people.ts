import { ChatError, type Member } from 'chat-client';
import { strings } from './strings.ts';

const controls = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const strong = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** A name for use within a sentence, isolated if its direction could affect the text around it. */
export const isolated = (name: string): string => {
  const plain = name.replace(controls, '');
  return plain !== name || strong.test(plain) ? `\u2068${plain}\u2069` : name;
};

/** The display name of a member. */
export const nameOf = (member: Member | undefined): string => member?.name ?? member?.username ?? strings.conversation.unknown;

/** An error message: what did not work, and why. */
export const failureOf = (what: string, why: unknown): string =>
  `${what} ${strings.errors[why instanceof ChatError ? why.code : 'INTERNAL_ERROR']}`;
