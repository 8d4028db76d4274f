import { describe, expect, onTestFinished, test } from 'vitest';
import { createChat, totalUnreadOf, type ChatError, type WireError } from '../../src/index.js';
import { couple, device, lines, statuses, options, person, signed, stored, texts, until } from './people.js';

describe('two people', () => {
  test('exchange messages and see their delivery status', async () => {
    const { a, b, id, alice, bob } = await couple();
    a.send(id, 'hello');
    expect(statuses(a, id)).toEqual(['sending']);
    await until(b, () => texts(b, id).includes('hello'));
    await until(a, () => statuses(a, id)[0] === 'delivered');
    await until(b, (state) => state.conversations[id]!.unread === 1);
    expect(totalUnreadOf(b.getState())).toBe(1);

    b.markRead(id);
    await until(a, () => statuses(a, id)[0] === 'read');
    await until(b, (state) => state.conversations[id]!.unread === 0);

    b.send(id, 'hi yourself');
    await until(a, () => texts(a, id).length === 2);
    expect(lines(a, id).map((line) => [line.senderId, line.isOwn])).toEqual([[alice.userId, true], [bob.userId, false]]);
  });

  test('a timeline item keeps its key through all statuses', async () => {
    const { a, id } = await couple();
    const tempId = a.send(id, 'hello');
    const before = lines(a, id)[0]!;
    await until(a, () => lines(a, id)[0]!.message !== undefined);
    expect(lines(a, id)[0]).toMatchObject({ key: before.key, tempId });
    expect(before.key).toBe(tempId);
  });

  test('see each other\'s presence', async () => {
    const { a, b, bob } = await couple();
    await until(a, (state) => state.presence[bob.userId]?.online === true);
    b.stop();
    const { presence } = await until(a, (state) => state.presence[bob.userId]?.online === false);
    expect(presence[bob.userId]!.lastSeenAt).toMatch(/Z$/);
    b.start();
    await until(a, (state) => state.presence[bob.userId]?.online === true);
  });

  test('see each other typing, for as long as they do', async () => {
    const { a, b, id, bob } = await couple();
    b.typing(id);
    await until(a, (state) => state.typing[id]?.[bob.userId] !== undefined);
    b.stopTyping(id);
    await until(a, (state) => state.typing[id] === undefined);
    // It expires without a typing.stop.
    b.typing(id);
    await until(a, (state) => state.typing[id]?.[bob.userId] !== undefined);
    await until(a, (state) => state.typing[id] === undefined);
  });

  test('a message ends the typing indicator', async () => {
    const { a, b, id, bob } = await couple();
    b.typing(id);
    await until(a, (state) => state.typing[id]?.[bob.userId] !== undefined);
    b.send(id, 'there');
    await until(a, (state) => texts(a, id).length === 1 && state.typing[id] === undefined);
  });

  test('one blocks and unblocks the other', async () => {
    const { a, b, id, alice, bob } = await couple();
    await until(a, (state) => state.presence[bob.userId]?.online === true);
    await a.block({ userId: bob.userId });
    expect(a.getState().blocks[bob.userId]).toBeDefined();
    expect((await a.api.blocks()).blocks).toHaveLength(1);
    await until(b, (state) => state.presence[alice.userId]?.online === false);

    const failures: WireError[] = [];
    b.on('outbox.failed', ({ error }) => failures.push(error));
    const tempId = b.send(id, 'can you hear me?');
    await until(b, () => statuses(b, id)[0] === 'failed');
    expect(failures).toMatchObject([{ code: 'BLOCKED', tempId }]);
    expect(lines(b, id)[0]).toMatchObject({ error: 'BLOCKED', tempId });

    await a.unblock({ userId: bob.userId });
    expect(a.getState().blocks).toEqual({});
    b.retry(tempId);
    await until(a, () => texts(a, id).includes('can you hear me?'));
    await until(b, (state) => state.outbox.length === 0 && lines(b, id)[0]?.message !== undefined);
  });

  test('a block is visible on the blocker\'s other devices, and after a reload', async () => {
    const { a, alice, bob } = await couple();
    const phone = await device(alice);
    await a.block({ username: bob.name });
    await until(phone, (state) => state.blocks[bob.userId] !== undefined);
    const later = await device(alice);
    await until(later, (state) => state.blocks[bob.userId] !== undefined);
  });
});

describe('sending', () => {
  test('keeps the order of a hundred messages', async () => {
    const { a, b, id } = await couple();
    const said = Array.from({ length: 100 }, (_, number) => `message ${number}`);
    for (const text of said) a.send(id, text);
    await until(b, () => texts(b, id).length === 100);
    expect(texts(b, id)).toEqual(said);
    await until(a, (state) => state.outbox.length === 0);
    expect(texts(a, id)).toEqual(said);
  });

  test.each([
    ['nothing but blanks', '   '],
    ['too long', 'x'.repeat(4001)],
    ['more than a frame can hold', '\u0001'.repeat(20_000)],
    ['half a character', 'a\ud800b'],
  ])('a message that is %s fails, can be discarded, and blocks no other', async (_, content) => {
    const { a, b, id } = await couple();
    const tempId = a.send(id, content);
    a.send(id, 'after it');
    await until(b, () => texts(b, id).includes('after it'));
    const failed = a.getState().outbox.find((entry) => entry.tempId === tempId);
    expect(failed).toMatchObject({ status: 'failed', error: 'VALIDATION_ERROR' });
    expect(a.getState().connection.status).toBe('online');
    a.discard(tempId);
    await until(a, (state) => state.outbox.length === 0);
  });

  test('to another user\'s conversation fails', async () => {
    const { id } = await couple();
    const stranger = await device(await person('stranger'));
    const tempId = stranger.send(id, 'let me in');
    await until(stranger, (state) => state.outbox[0]?.status === 'failed');
    expect(stranger.getState().outbox).toMatchObject([{ tempId, error: 'FORBIDDEN' }]);
    await expect(stranger.load(id)).rejects.toMatchObject({ code: 'NOT_FOUND' } satisfies Partial<ChatError>);
  });

  test('text is stored unchanged', async () => {
    const { a, b, id } = await couple();
    const text = '<img src=x onerror=alert(1)> & "quotes" \u202e \u0001 👩‍👩‍👧 \n new line';
    a.send(id, text);
    await until(b, () => texts(b, id).length === 1);
    expect(texts(b, id)).toEqual([text]);
  });
});

describe('conversations', () => {
  test('a new conversation appears at its other member', async () => {
    const [alice, bob] = await Promise.all([person('alice'), person('bob')]);
    const [a, b] = await Promise.all([device(alice), device(bob)]);
    const id = await a.open({ userId: bob.userId });
    a.send(id, 'we have not met');
    const state = await until(b, ({ conversations }) => conversations[id]?.unread === 1);
    expect(state.conversations[id]!.lastMessage?.content).toBe('we have not met');
    await until(b, ({ presence }) => presence[alice.userId]?.online === true);
    // Complete without loading: the first message is the beginning of the conversation.
    await b.load(id);
    expect(texts(b, id)).toEqual(['we have not met']);
  });

  test('opening an existing one returns it', async () => {
    const { a, b, id, alice } = await couple();
    expect(await b.open({ username: alice.name })).toBe(id);
    expect(await a.open({ username: alice.name }).catch((failure: ChatError) => failure.code)).toBe('VALIDATION_ERROR');
    expect(await a.open({ username: 'nobody of this name' }).catch((failure: ChatError) => failure.code)).toBe('NOT_FOUND');
  });

  test('history is loaded page by page on a new device', async () => {
    const { a, id, bob } = await couple();
    const said = Array.from({ length: 130 }, (_, number) => `message ${number}`);
    for (const text of said) a.send(id, text);
    await until(a, (state) => state.outbox.length === 0);

    const b = await device(bob);
    expect(b.getState().conversations[id]).toMatchObject({ unread: 130, seq: 130, messages: [], loadedFrom: 131 });
    await b.load(id);
    expect(texts(b, id)).toEqual(said.slice(80));
    a.send(id, 'meanwhile');
    await Promise.all([b.loadOlder(id), b.loadOlder(id)]);
    await until(b, () => texts(b, id).includes('meanwhile'));
    expect(texts(b, id)).toEqual([...said.slice(30), 'meanwhile']);
    await b.loadOlder(id, 200);
    expect(b.getState().conversations[id]).toMatchObject({ loadedFrom: 1 });
    expect(texts(b, id)).toEqual([...said, 'meanwhile']);
    expect(await stored(b, id)).toEqual([...said, 'meanwhile']);
  });

  test('two devices of one user show the same', async () => {
    const { a, b, id, alice } = await couple();
    const phone = await device(alice);
    a.send(id, 'from the desk');
    phone.send(id, 'from the phone');
    b.send(id, 'from the other');
    await until(phone, () => texts(phone, id).length === 3);
    await until(a, () => texts(a, id).length === 3);
    expect(texts(a, id)).toEqual(texts(phone, id));
    await until(a, (state) => state.conversations[id]!.unread === 1);
    phone.markRead(id);
    await until(a, (state) => state.conversations[id]!.unread === 0);
  });

  test('signing out everywhere ends all sessions of the user, and of nobody else', async () => {
    const { a, b, id, alice } = await couple();
    let asked = 0;
    const phone = await device(alice, { token: async () => (asked++, alice.token) });
    asked = 0;
    phone.setDraft(id, 'half a thought');
    const told: unknown[] = [];
    for (const chat of [a, phone, b]) chat.on('signedOut', (event) => told.push(event));

    await a.signOutEverywhere();
    await until(phone, (state) => state.connection.problem === 'REVOKED');
    expect(phone.getState()).toMatchObject({ me: null, conversations: {}, drafts: {} });
    expect(told).toEqual([{ userId: alice.userId, everywhere: true }, { userId: alice.userId, everywhere: true }]);
    expect(asked).toBe(0);
    // The old token is revoked.
    const again = createChat(options(alice));
    onTestFinished(() => again.stop());
    again.start();
    await until(again, (state) => state.connection.problem === 'TOKEN_INVALID');
    await b.api.unread();

    // A token that is issued later is valid; two seconds, since `iat` counts whole ones.
    await (await device({ ...alice, token: signed(alice, 3600, 2) })).load(id);
  });
});
