import type { Action } from '../src/reducer.js';
import { conversationsWithGaps, reduce } from '../src/reducer.js';
import { initialState, type ChatState } from '../src/state.js';
import type { Conversation, Message, ServerEvent, SyncConversation } from '../src/wire.js';

export const me = '00000000-0000-4000-8000-000000000001';
export const other = '00000000-0000-4000-8000-000000000002';

/** One step of the server, in numbers that a generator can make: which conversation, what, and how far. */
export interface Step {
  readonly where: number;
  readonly what: 'mine' | 'theirs' | 'change' | 'iRead' | 'theyRead' | 'iReceive' | 'theyReceive';
  readonly howFar: number;
}

interface StoredConversation {
  readonly id: string;
  readonly messages: Map<string, Message>;
  seq: number;
  updatedAt: string;
  readonly cursors: Record<string, { readUpTo: number; deliveredUpTo: number }>;
}

/** A minimal model of the server's data, and of the events that it pushes to one of the user's devices. */
export class ServerModel {
  readonly #rooms = new Map<string, StoredConversation>();
  #time = 0;

  /** Executes a step, and returns the events for the device. */
  happen({ where, what, howFar }: Step): ServerEvent[] {
    const room = this.#room(`room-${where}`);
    const conversationId = room.id;
    switch (what) {
      case 'mine':
      case 'theirs': {
        const sender = what === 'mine' ? me : other;
        const seq = ++room.seq;
        const id = `${conversationId}-${seq}`;
        const sentAt = this.#now();
        room.updatedAt = sentAt;
        return this.#said(room, { id, conversationId, seq, changedSeq: seq, senderId: sender, type: 'text', content: `text ${seq}`, sentAt, tempId: `t-${id}` });
      }
      case 'change': {
        // For a later version of the server: a changed message keeps its number, and the change has one of its own.
        const old = [...room.messages.values()][howFar % Math.max(1, room.messages.size)];
        if (!old) return [];
        return this.#said(room, { ...old, changedSeq: ++room.seq, content: `${old.content}, changed` });
      }
      case 'iRead':
      case 'theyRead':
      case 'iReceive':
      case 'theyReceive': {
        if (room.seq === 0) return [];
        const upTo = 1 + (howFar % room.seq);
        const who = what.startsWith('i') ? me : other;
        const cursor = room.cursors[who]!;
        cursor.deliveredUpTo = Math.max(cursor.deliveredUpTo, upTo);
        if (what.endsWith('Read')) cursor.readUpTo = Math.max(cursor.readUpTo, upTo);
        const at = this.#now();
        if (what === 'theyRead')
          return [{ type: 'message.read_update', payload: { conversationId, messageIds: [], upTo: cursor.readUpTo, readBy: other, readAt: at } }];
        if (what === 'theyReceive')
          return [{ type: 'message.delivered_update', payload: { conversationId, upTo: cursor.deliveredUpTo, userId: other, deliveredAt: at } }];
        return what === 'iRead'
          ? [{ type: 'message.read_ack', id: '1', payload: { conversationId, markedCount: 0, upTo: cursor.readUpTo, readAt: at, ...this.#unread(room) } }]
          : [];
      }
    }
  }

  /** `GET /chat/conversations`, all of them. */
  list(): Conversation[] {
    return [...this.#rooms.values()].map((room) => this.#view(room));
  }

  /** `GET …/messages?before=&limit=` */
  page(id: string, before: number, limit: number) {
    const older = this.#sorted(id).filter((message) => message.seq < before);
    return { messages: older.slice(-limit), hasMore: older.length > limit };
  }

  /** `sync`, with parts of `limit`. */
  sync(known: Readonly<Record<string, number>>, limit: number): SyncConversation[] {
    return [...this.#rooms.values()]
      .filter((room) => room.seq > (known[room.id] ?? -1))
      .map((room) => {
        const past = this.#sorted(room.id).filter((message) => message.changedSeq > (known[room.id] ?? 0)).sort((a, b) => a.changedSeq - b.changedSeq);
        return { conversation: this.#view(room), messages: past.slice(0, limit), hasMore: past.length > limit };
      });
  }

  #said(room: StoredConversation, message: Message): ServerEvent[] {
    room.messages.set(message.id, message);
    const { tempId: _, ...shared } = message;
    const told = message.senderId === me ? message : shared;
    return [
      { type: 'message.new', payload: { message: told } },
      { type: 'conversation.updated', payload: { conversationId: room.id, lastMessage: this.#last(room, false)!, seq: room.seq } },
      { type: 'notification.unread', payload: { conversationId: room.id, ...this.#unread(room) } },
    ];
  }

  #room(id: string): StoredConversation {
    let room = this.#rooms.get(id);
    if (!room) {
      const start = () => ({ readUpTo: 0, deliveredUpTo: 0 });
      room = { id, messages: new Map(), seq: 0, updatedAt: this.#now(), cursors: { [me]: start(), [other]: start() } };
      this.#rooms.set(id, room);
    }

    return room;
  }

  #view(room: StoredConversation): Conversation {
    const lastMessage = this.#last(room, true);
    return {
      id: room.id,
      kind: 'direct',
      members: [me, other].map((userId) => ({ userId, username: userId.slice(-1), ...room.cursors[userId]! })),
      seq: room.seq,
      ...(lastMessage && { lastMessage }),
      updatedAt: room.updatedAt,
      unread: this.#unread(room).unread,
    };
  }

  #unread(room: StoredConversation) {
    const { readUpTo } = room.cursors[me]!;
    return { unread: [...room.messages.values()].filter((message) => message.senderId !== me && message.seq > readUpTo).length, totalUnread: 0 };
  }

  #last(room: StoredConversation, isForMe: boolean): Message | undefined {
    const last = this.#sorted(room.id).at(-1);
    if (!last || isForMe) return last;
    const { tempId: _, ...shared } = last;
    return shared;
  }

  #sorted(id: string): Message[] {
    return [...(this.#rooms.get(id)?.messages.values() ?? [])]
      .sort((a, b) => a.seq - b.seq)
      .map((message) => {
        if (message.senderId === me) return message;
        const { tempId: _, ...shared } = message;
        return shared;
      });
  }

  #now(): string {
    return new Date(Date.UTC(2026, 0, 1) + ++this.#time * 1000).toISOString();
  }
}

export const signIn = (state: ChatState): ChatState => reduce(state, { type: 'signedIn', me: { userId: me }, epoch: 'epoch' });

export const apply = (state: ChatState, ...actions: Action[]): ChatState => actions.reduce(reduce, state);

export const tell = (state: ChatState, events: readonly ServerEvent[]): ChatState =>
  events.reduce((next, event) => reduce(next, { type: 'event', event, now: 0 }), state);

/** Syncs like the client until there is no gap. Fails if that does not terminate. */
export function syncAll(state: ChatState, world: ServerModel, limit: number): ChatState {
  for (let round = 0; ; round++) {
    if (round > 1000) throw new Error('The sync does not come to an end.');
    const known = Object.fromEntries(Object.values(state.conversations).map(({ id, position }) => [id, position]));
    const since = state.clock;
    for (const part of world.sync(known, limit)) state = reduce(state, { type: 'synced', after: known[part.conversation.id] ?? 0, part, since });
    if (conversationsWithGaps(state).length === 0) return state;
  }
}

/** A new connection: the list, then a sync. */
export function reconnect(state: ChatState, world: ServerModel, limit: number): ChatState {
  state = signIn(state);
  const wasListed = state.listed;
  if (wasListed) state = syncAll(state, world, limit);
  state = apply(state, { type: 'listed', conversations: world.list(), isLast: true, since: state.clock });
  return syncAll(state, world, limit);
}

/** Loads each conversation to its beginning. */
export function loadAll(state: ChatState, world: ServerModel, limit: number): ChatState {
  for (const id of Object.keys(state.conversations))
    while (state.conversations[id]!.loadedFrom > 1) {
      const before = state.conversations[id]!.loadedFrom;
      state = apply(state, { type: 'history', conversationId: id, before, page: world.page(id, before, limit) });
    }
  return state;
}

/** The part of a state that mirrors the server, without the client's own bookkeeping. */
export const essence = (state: ChatState) =>
  Object.values(state.conversations)
    .map(({ unreadTold: _, history: __, outOfOrder: ahead, position, ...rest }) => ({ ...rest, isWhole: ahead.length === 0 && position === rest.seq }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));

export const fresh = (world: ServerModel) => loadAll(reconnect(initialState, world, 100), world, 100);
