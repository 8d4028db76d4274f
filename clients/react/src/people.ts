import { conversationsLike, peerOf, type ConversationState, type Member } from 'chat-client';
import { useChatState } from './provider.js';

/** Somebody with whom there is a conversation. */
export interface KnownPerson {
  readonly conversation: ConversationState;
  readonly peer: Member;
}

/** What `usePeople` gives. */
export interface PeopleFound {
  /** Whoever is called exactly so comes first, then the others by their latest message. */
  readonly people: readonly KnownPerson[];
  /** Whether one of them has exactly this username: if not, `client.open({username})` may find somebody new. */
  readonly isKnown: boolean;
}

/** The people with whom there are conversations and in whose names the text is; all of them for a blank one. */
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

/** Whom the user has blocked. */
export interface BlockedPerson {
  readonly userId: string;
  /** RFC 3339. */
  readonly since: string;
  /** Undefined where there is no conversation with them. */
  readonly member: Member | undefined;
}

/** Whom the user has blocked, to be shown and unblocked. */
export function useBlocked(): readonly BlockedPerson[] {
  const blocks = useChatState((state) => state.blocks);
  const members = useChatState((state) => Object.values(state.conversations).flatMap((conversation) => peerOf(conversation, state.me?.userId) ?? []));
  return Object.entries(blocks).map(([userId, since]) => ({ userId, since, member: members.find((member) => member.userId === userId) }));
}
