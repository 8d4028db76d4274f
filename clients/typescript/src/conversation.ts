import { shallowEqual } from './shallowEqual.js';
import type { ConversationState } from './state.js';
import type { Conversation, Member, Message, MessagePage } from './wire.js';

type Cursors = Pick<Member, 'userId' | 'readUpTo' | 'deliveredUpTo'> & Partial<Member>;

/** Applies one message, live or as an answer: its content and its number. */
export function applyMessage(known: ConversationState, message: Message): ConversationState {
  const next = withMessages(known, [message]);
  const own = next.messages[indexOf(next.messages, message.seq)] ?? message;
  return advance(merge(next, { seq: message.changedSeq, lastMessage: own, updatedAt: message.sentAt }), [message.changedSeq]);
}

/**
 * Applies the part of a sync past the number `after`. Numbers missing in between are no gap: of a message that was changed twice,
 * a sync has the latest state only.
 */
export function applySync(known: ConversationState, after: number, messages: readonly Message[]): ConversationState {
  const next = messages.reduce(
    (conversation, message) => merge(conversation, { seq: message.changedSeq, lastMessage: message, updatedAt: message.sentAt }),
    withMessages(known, messages),
  );
  if (after > next.position) return advance(next, messages.map((message) => message.changedSeq));
  const reaches = messages.at(-1)?.changedSeq ?? after;
  return advance(reaches > next.position ? { ...next, position: reaches } : next, []);
}

/** Adds a page of history before the number `before`. */
export function prependPage(known: ConversationState, before: number, page: MessagePage): ConversationState {
  // There would be a gap between this page and what is loaded.
  if (before < known.loadedFrom) return known;
  const first = page.messages[0];
  const from = page.hasMore && first ? first.seq : 1;
  const loadedFrom = Math.min(known.loadedFrom, from);
  return { ...known, history: 'idle', loadedFrom, messages: insert(known.messages, page.messages, loadedFrom) };
}

/** Drops all but the latest messages: they can be loaded again as history. */
export function trim(known: ConversationState, keep: number): ConversationState {
  if (known.messages.length <= keep) return known;
  const messages = known.messages.slice(-keep);
  return { ...known, messages, loadedFrom: messages[0]!.seq };
}

/** Restarts at the number `seq` with the latest messages, instead of filling a long gap. */
export function resetTo(known: ConversationState, seq: number, page: MessagePage): ConversationState {
  if (known.position >= seq) return known;
  // Messages past it were received live.
  const live = known.messages.filter((message) => message.seq > seq);
  return advance(prependPage({ ...known, messages: live, position: seq, loadedFrom: seq + 1 }, seq + 1, page), []);
}

/** Merges what is known of a conversation, in whatever order it arrives: the newer value wins. */
export function merge(
  known: ConversationState,
  news: Partial<Pick<Conversation, 'seq' | 'lastMessage' | 'updatedAt' | 'unread'>> & { readonly cursors?: readonly Cursors[] },
): ConversationState {
  const members = news.cursors ? mergeCursors(known.members, news.cursors) : known.members;
  const seq = Math.max(known.seq, news.seq ?? 0);
  const lastMessage = later(known.lastMessage, news.lastMessage);
  const updatedAt = news.updatedAt !== undefined && news.updatedAt > known.updatedAt ? news.updatedAt : known.updatedAt;
  const unread = news.unread ?? known.unread;
  const next = { ...known, members, seq, updatedAt, unread, ...(lastMessage && { lastMessage }) };
  return shallowEqual(known, next) ? known : next;
}

/** Cursors never go back; of names the latest ones count. */
function mergeCursors(known: readonly Member[], news: readonly Cursors[]): readonly Member[] {
  let changed = false;
  const members = known.map((member) => {
    const update = news.find((other) => other.userId === member.userId);
    if (!update) return member;
    const next = {
      ...member,
      ...update,
      readUpTo: Math.max(member.readUpTo, update.readUpTo),
      deliveredUpTo: Math.max(member.deliveredUpTo, update.deliveredUpTo),
    };
    if (shallowEqual(member, next)) return member;
    changed = true;
    return next;
  });
  return changed ? members : known;
}

function withMessages(known: ConversationState, news: readonly Message[]): ConversationState {
  const messages = insert(known.messages, news, known.loadedFrom);
  return messages === known.messages ? known : { ...known, messages };
}

/** Inserts messages in order, each in its latest state; those before `from` are left to be loaded as history. */
function insert(known: readonly Message[], news: readonly Message[], from: number): readonly Message[] {
  let messages: Message[] | undefined;
  for (const message of news) {
    if (message.seq < from) continue;
    const held = messages ?? known;
    const at = indexOf(held, message.seq);
    const old = held[at]?.seq === message.seq ? held[at] : undefined;
    const next = newer(old, message);
    if (next === old) continue;
    messages ??= [...known];
    messages.splice(at, old ? 1 : 0, next);
  }
  return messages ?? known;
}

/** The index of a number, or where to insert it. New messages are usually last, so the end is checked first. */
function indexOf(messages: readonly Message[], seq: number): number {
  let low = 0;
  let high = messages.length;
  if (high === 0 || messages[high - 1]!.seq < seq) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle]!.seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The later of two states of a message; only one of them may have the tempId. */
function newer(known: Message | undefined, message: Message): Message {
  if (!known) return message;
  const [next, other] = message.changedSeq > known.changedSeq ? [message, known] : [known, message];
  return next.tempId === undefined && other.tempId !== undefined ? { ...next, tempId: other.tempId } : next;
}

function later(known: Message | undefined, message: Message | undefined): Message | undefined {
  if (!message || !known) return message ?? known;
  if (known.seq === message.seq) return newer(known, message);
  return message.seq > known.seq ? message : known;
}

/** Advances the position past all numbers that were seen without a gap. */
function advance(known: ConversationState, seen: readonly number[]): ConversationState {
  let { position } = known;
  const outOfOrder = [...new Set([...known.outOfOrder, ...seen])].filter((seq) => seq > position).sort((a, b) => a - b);
  while (outOfOrder[0] === position + 1) position = outOfOrder.shift()!;
  return position === known.position && shallowEqual(outOfOrder, known.outOfOrder) ? known : { ...known, position, outOfOrder };
}
