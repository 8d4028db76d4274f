import type { Member } from 'chat-client';
import { strings } from './strings.ts';

/** What somebody is called here. */
export const nameOf = (member: Member | undefined): string => member?.name ?? member?.username ?? strings.conversation.unknown;
