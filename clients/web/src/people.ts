import { ChatError, type Member } from 'chat-client';
import { strings } from './strings.ts';

const controls = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const strong = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** A name for use within a sentence, which it must not turn round: by itself where that is in question. */
export const isolated = (name: string): string => {
  const plain = name.replace(controls, '');
  return plain !== name || strong.test(plain) ? `\u2068${plain}\u2069` : name;
};

/** What somebody is called here. */
export const nameOf = (member: Member | undefined): string => member?.name ?? member?.username ?? strings.conversation.unknown;

/** What did not work, and why, as far as the server has said. */
export const failureOf = (what: string, why: unknown): string => `${what} ${strings.errors[why instanceof ChatError ? why.code : 'INTERNAL_ERROR']}`;
