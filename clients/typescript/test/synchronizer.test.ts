import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { initialState, timelineOf, type Conversation, type Message } from '../src/index.js';
import { splitIntoFrames } from '../src/synchronizer.js';
import { reduce } from '../src/reducer.js';
import { createTestChat, answerDefaults, userId, type FakeSocket } from './fakes.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});
const advance = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

const other = '00000000-0000-4000-8000-000000000002';
const message = (seq: number, own: Partial<Message> = {}): Message => ({
  id: `m${seq}`, conversationId: 'c', seq, changedSeq: seq, senderId: other, type: 'text', content: `${seq}`,
  sentAt: new Date(Date.UTC(2026, 0, 1) + seq * 1000).toISOString(), ...own,
});
const view = (seq: number, own: Partial<Conversation> = {}): Conversation => ({
  id: 'c', kind: 'direct', seq, unread: seq, updatedAt: '2026-01-01T00:00:00.000Z',
  members: [userId, other].map((id) => ({ userId: id, readUpTo: 0, deliveredUpTo: 0 })),
  ...(seq > 0 && { lastMessage: message(seq) }), ...own,
});

/** A server with one conversation that a test can change. */
async function serving(own: Parameters<typeof createTestChat>[0] = {}) {
  const world = { seq: 3, epoch: 'epoch', conversations: undefined as Conversation[] | Promise<Conversation[]> | undefined };
  const asked: string[] = [];
  const made = createTestChat({
    rest: async (path) => {
      asked.push(path);
      if (path === '/chat/conversations') return { conversations: (await world.conversations) ?? [view(world.seq)] };
      if (path === '/chat/conversations/c') return view(world.seq);
      if (path === '/chat/conversations/c/messages')
        return { messages: Array.from({ length: Math.min(world.seq, 50) }, (_, at) => message(Math.max(0, world.seq - 50) + at + 1)), hasMore: world.seq > 50 };
      return undefined;
    },
    answer: (socket: FakeSocket, event) => {
      if (event.type === 'auth') return socket.accept(world.epoch);
      if (event.type !== 'sync') return answerDefaults(socket, event);
      asked.push('sync');
      const after = event.payload.conversations['c'] ?? 0;
      if (world.seq > after) {
        const messages = Array.from({ length: Math.min(200, world.seq - after) }, (_, at) => message(after + at + 1));
        socket.push('sync.conversation', { conversation: view(world.seq), messages, hasMore: world.seq - after > 200 }, event.id);
      }
      socket.push('sync.done', { conversations: world.seq > after ? 1 : 0 }, event.id);
    },
    ...own,
  });
  const open = async () => {
    await advance();
    made.last().open();
    await advance();
  };
  made.chat.start();
  await open();
  await made.chat.load('c');
  asked.length = 0;
  const texts = () => timelineOf(made.chat.getState(), 'c').map((item) => Number(item.content));
  return { ...made, world, asked, open, texts, room: () => made.chat.getState().conversations['c']! };
}

test('a gap is synchronized after gapDelay', async () => {
  const { world, last, asked, texts } = await serving();
  world.seq = 5;
  last().push('message.new', { message: message(5) });
  await advance(49);
  expect(asked).not.toContain('sync');
  await advance(1);
  expect(texts()).toEqual([1, 2, 3, 4, 5]);
  expect(asked).toEqual(['sync']);
});

test('numbers out of order are no gap', async () => {
  const { world, last, asked, texts } = await serving();
  world.seq = 5;
  last().push('message.new', { message: message(5) });
  last().push('message.new', { message: message(4) });
  await advance(1000);
  expect(texts()).toEqual([1, 2, 3, 4, 5]);
  expect(asked).toEqual([]);
});

test('a sync is repeated while hasMore is true', async () => {
  const { world, last, open, asked, texts } = await serving();
  last().serverCloses(1006);
  world.seq = 603;
  await advance(500);
  await open();
  await advance(100);
  expect(texts()).toEqual(Array.from({ length: 603 }, (_, at) => at + 1));
  expect(asked.filter((what) => what === 'sync').length).toBeGreaterThanOrEqual(3);
});

test('a gap of thousands is not filled: the conversation is reloaded at its end', async () => {
  const { world, last, open, texts, room } = await serving();
  last().serverCloses(1006);
  world.seq = 5000;
  await advance(500);
  await open();
  await advance(100);
  expect(texts().at(-1)).toBe(5000);
  expect(room()).toMatchObject({ position: 5000, outOfOrder: [] });
  expect(room().loadedFrom).toBe(texts()[0]);
});

test('live messages that arrive during a reload are kept', async () => {
  const { world, last, texts, room } = await serving();
  last().serverCloses(1006);
  world.seq = 5000;
  await advance(500);
  last().open();
  last().push('message.new', { message: message(5001) });
  last().push('message.new', { message: message(5003) });
  await advance(40);
  expect(texts().slice(-3)).toEqual([5000, 5001, 5003]);
  expect(room()).toMatchObject({ position: 5001, outOfOrder: [5003] });
  world.seq = 5003;
  await advance(2000);
  expect(texts().slice(-3)).toEqual([5001, 5002, 5003]);
});

test('a sync part past the known position leaves the gap before it', () => {
  const known = reduce(initialState, { type: 'listed', conversations: [view(3)], isLast: true, since: 0 });
  const next = reduce(known, { type: 'synced', after: 5, part: { conversation: view(6), messages: [message(6)], hasMore: false }, since: 0 });
  expect(next.conversations['c']).toMatchObject({ position: 3, seq: 6, outOfOrder: [6] });
});

test('a sync does not add an empty conversation, unless it is in the list', () => {
  const part = { conversation: view(0), messages: [], hasMore: false };
  expect(reduce(initialState, { type: 'synced', after: 0, part, since: 0 }).conversations).toEqual({});
  const listed = reduce(initialState, { type: 'listed', conversations: [view(0)], isLast: true, since: 0 });
  expect(reduce(listed, { type: 'synced', after: 0, part, since: 0 }).conversations).toHaveProperty('c');
  const written = { conversation: view(1), messages: [message(1)], hasMore: false };
  expect(reduce(initialState, { type: 'synced', after: 0, part: written, since: 0 }).conversations).toHaveProperty('c');
});

test('a block that is added while blocks are loaded is not lost', async () => {
  let answer = (): void => {};
  let asked = 0;
  const { chat, last } = createTestChat({
    rest: (path) => {
      if (path !== '/chat/blocks') return undefined;
      // The first answer is from before the block.
      return asked++ === 0
        ? new Promise((resolve) => (answer = () => resolve({ blocks: [] })))
        : { blocks: [{ userId: other, blockedAt: '2026-01-01T00:00:00.000Z' }] };
    },
  });
  chat.start();
  await advance();
  last().open();
  await advance();
  last().push('block.added', { userId: other, blockedAt: '2026-01-01T00:00:00.000Z' });
  answer();
  await advance();
  expect(Object.keys(chat.getState().blocks)).toEqual([other]);
  expect(asked).toBe(2);
});

test('another epoch reloads everything and keeps unsent messages', async () => {
  const { chat, world, last, open, asked, room } = await serving();
  last().serverCloses(1012);
  chat.send('c', 'still to be sent');
  world.seq = 1;
  world.epoch = 'another';
  await advance(500);
  await open();
  expect(chat.getState().epoch).toBe('another');
  expect(room()).toMatchObject({ seq: 1, position: 1, messages: [] });
  expect(asked[0]).not.toBe('sync');
  expect(chat.getState().outbox).toHaveLength(1);
});

test('a sync of many conversations is split into frames below maxFrameBytes', async () => {
  const { world, sockets, last, open, asked, chat, room } = await serving();
  const many = Array.from({ length: 2000 }, (_, at) => view(1, { id: `${at}`.padStart(36, '0') }));
  world.conversations = [view(3), ...many];
  last().serverCloses(1006);
  await advance(500);
  await open();
  last().serverCloses(1006);
  world.seq = 4;
  world.conversations = [view(4), ...many];
  asked.length = 0;
  await advance(5000);
  await open();
  await advance(5000);
  expect(room().position).toBe(4);
  expect(Math.max(...sockets.flatMap(({ sent }) => sent.map((event) => JSON.stringify(event).length)))).toBeLessThan(65_536);
  expect(asked.filter((what) => what === 'sync').length).toBeGreaterThan(2);
  expect(chat.getState().connection.status).toBe('online');
}, 20_000);

test('a failed list request is retried', async () => {
  let isAway = true;
  const { chat, last } = createTestChat({
    rest: (path) => (path === '/chat/conversations' && isAway ? Response.json({ code: 'UNAVAILABLE', retryable: true, retryAfterMs: 300 }, { status: 503 }) : undefined),
  });
  chat.start();
  await advance();
  last().open();
  await advance(1000);
  expect(chat.getState().listed).toBe(false);
  isAway = false;
  await advance(300);
  expect(chat.getState().listed).toBe(true);
});

test('a stale answer does not overwrite a newer unread count', async () => {
  const { world, last, open, room } = await serving();
  last().serverCloses(1006);
  let answer = (): void => {};
  const asked = new Promise<void>((resolve) => (answer = resolve));
  world.conversations = asked.then(() => [view(3, { unread: 3 })]);
  await advance(500);
  await open();
  last().push('notification.unread', { conversationId: 'c', unread: 7, totalUnread: 7 });
  answer();
  await advance();
  expect(room().unread).toBe(7);

  // Requested after the event: the answer counts.
  world.conversations = [view(3, { unread: 2 })];
  last().serverCloses(1006);
  await advance(1000);
  await open();
  expect(room().unread).toBe(2);
});

test('delivery receipts are batched, and sent only for new messages', async () => {
  const { last, world } = await serving();
  const said = () => last().sent.filter(({ type }) => type === 'message.delivered').map(({ payload }) => payload);
  await advance(200);
  expect(said()).toEqual([{ conversationId: 'c', upTo: 3 }]);
  for (let seq = 4; seq <= 20; seq++) last().push('message.new', { message: message((world.seq = seq)) });
  await advance(200);
  last().push('message.new', { message: message((world.seq = 21), { senderId: userId }) });
  await advance(1000);
  expect(said()).toEqual([{ conversationId: 'c', upTo: 3 }, { conversationId: 'c', upTo: 20 }]);
});

test('typing is throttled, and its end sent once', async () => {
  const { chat, last } = await serving();
  const said = () => last().sent.map(({ type }) => type).filter((type) => type.startsWith('typing'));
  for (let stroke = 0; stroke < 50; stroke++) {
    chat.typing('c');
    await advance(100);
  }
  expect(said()).toEqual(['typing.start', 'typing.start']);
  chat.stopTyping('c');
  chat.stopTyping('c');
  expect(said()).toEqual(['typing.start', 'typing.start', 'typing.stop']);
  chat.typing('c');
  chat.send('c', 'done');
  expect(said().slice(3)).toEqual(['typing.start', 'typing.stop']);
});

test('a typing indicator whose end was lost expires', async () => {
  const { chat, last } = await serving();
  last().push('typing.update', { conversationId: 'c', userId: other, typing: true });
  await advance(59_000);
  expect(chat.getState().typing['c']).toBeDefined();
  await advance(1_100);
  expect(chat.getState().typing['c']).toBeUndefined();
});

test('a throwing listener does not affect others', async () => {
  const { chat, last } = await serving();
  const thrown: unknown[] = [];
  vi.stubGlobal('reportError', (failure: unknown) => thrown.push(failure));
  const heard: string[] = [];
  chat.on('message.new', () => {
    throw new Error('a fault');
  });
  const stop = chat.on('message.new', ({ message: { content } }) => heard.push(content));
  last().push('message.new', { message: message(4) });
  stop();
  last().push('message.new', { message: message(5) });
  vi.unstubAllGlobals();
  expect(heard).toEqual(['4']);
  expect(thrown).toHaveLength(2);
});

test('a conversation that is not retained keeps its latest messages only', async () => {
  const { chat, last } = await serving();
  const tell = (from: number, to: number) => {
    for (let seq = from; seq <= to; seq++) last().push('message.new', { message: message(seq) });
  };
  const count = () => chat.getState().conversations['c']!.messages.length;
  const release = chat.retain('c');
  tell(4, 1_500);
  expect(count()).toBeGreaterThan(1_400);
  release();
  release();
  expect(count()).toBe(200);
  tell(1_501, 2_500);
  expect(count()).toBeLessThanOrEqual(1_000);
  expect(chat.getState().conversations['c']!).toMatchObject({ position: 2_500, seq: 2_500 });
});

test('a throwing subscriber affects neither other subscribers nor the connection', async () => {
  vi.stubGlobal('reportError', () => {});
  const { chat, sockets, last, status } = await serving();
  let heard = 0;
  chat.subscribe(() => {
    throw new Error('a fault');
  });
  chat.on('connection', () => {
    throw new Error('a fault');
  });
  chat.subscribe(() => heard++);
  last().serverCloses(1006);
  await advance(1000);
  last().open();
  await advance();
  vi.unstubAllGlobals();
  expect(sockets).toHaveLength(2);
  expect(status()).toBe('online');
  expect(heard).toBeGreaterThan(1);
});

test('splitIntoFrames covers all ids by contiguous ranges', () => {
  const id = (number: number) => `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
  const known = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [id((at * 7919) % 5000), at * 1000]));
  const limit = 65_536;

  const parts = splitIntoFrames(known, limit);

  expect(parts.length).toBeGreaterThan(1);
  expect(Object.assign({}, ...parts.map((part) => part.conversations))).toEqual(known);
  for (const part of parts) expect(JSON.stringify({ type: 'sync', id: 'x'.repeat(64), payload: part }).length).toBeLessThanOrEqual(limit);
  expect(parts[0]).not.toHaveProperty('after');
  expect(parts.at(-1)).not.toHaveProperty('until');
  parts.slice(1).forEach((part, at) => expect(part.after).toBe(parts[at]!.until));
  const within = (part: (typeof parts)[number], one: string) => (!part.after || one > part.after) && (!part.until || one <= part.until);
  for (const part of parts) for (const one of Object.keys(part.conversations)) expect(within(part, one)).toBe(true);
});

test('splitIntoFrames needs no range for a single frame', () => {
  expect(splitIntoFrames({ b: 2, a: 1 }, 65_536)).toEqual([{ conversations: { a: 1, b: 2 } }]);
  expect(splitIntoFrames({}, Infinity)).toEqual([{ conversations: {} }]);
});
