import { conversationsLike, peerOf, type ConversationState, type Member } from 'chat-client';
import { useChatState } from './provider.js';

/** A person with whom there is a conversation. */
export interface KnownPerson {
  readonly conversation: ConversationState;
  readonly peer: Member;
}

/** Result of `usePeople`. */
export interface PeopleFound {
  /** Exact matches of the username first, then the others by their latest message. */
  readonly people: readonly KnownPerson[];
  /** Whether one of them has exactly this username; if not, `client.open({username})` may find a new person. */
  readonly isKnown: boolean;
}

/** People with whom there are conversations and whose name contains the text; all of them if it is blank. */
export function usePeople(text: string): PeopleFound {
  const me = useChatState((state) => state.me?.userId);
  const conversations = useChatState((state) => conversationsLike(state, text));
  const wanted = text.trim().toLocaleLowerCase();
  const people = conversations.flatMap((conversation) => {
    const peer = peerOf(conversation, me);
    return peer ? [{ conversation, peer }] : [];
  });
  const isCalled = ({ peer }: KnownPerson) => peer.username?.toLocaleLowerCase() === wanted;
  const exact = people.filter(isCalled);
  return { people: [...exact, ...people.filter((person) => !isCalled(person))], isKnown: exact.length > 0 };
}

/** A person whom the user has blocked. */
export interface BlockedPerson {
  readonly userId: string;
  /** RFC 3339. */
  readonly since: string;
  /** Undefined if there is no conversation with them. */
  readonly member: Member | undefined;
}

/** The people whom the user has blocked. */
export function useBlocked(): readonly BlockedPerson[] {
  const blocks = useChatState((state) => state.blocks);
  const members = useChatState((state) =>
    Object.values(state.conversations).flatMap((conversation) => peerOf(conversation, state.me?.userId) ?? []),
  );
  return Object.entries(blocks).map(([userId, since]) => ({ userId, since, member: members.find((member) => member.userId === userId) }));
}
