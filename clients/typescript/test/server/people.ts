import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inject, onTestFinished } from 'vitest';
import WebSocket from 'ws';
import { createChat, timelineOf, type Chat, type ChatOptions, type ChatState, type TimelineItem } from '../../src/index.js';

export const serverUrl = () => inject('serverUrl');

/** Kills or starts the server. */
export async function server(what: 'kill' | 'start'): Promise<void> {
  const response = await fetch(`${inject('controlUrl')}/${what}`, { method: 'POST' });
  if (!response.ok) throw new Error(await response.text());
}

export interface Person {
  readonly name: string;
  readonly userId: string;
  readonly token: string;
}

/** A user of this test alone. */
export async function person(name: string): Promise<Person> {
  const username = `${name}-${randomUUID().slice(0, 8)}`;
  const response = await fetch(`${serverUrl()}/dev/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username }),
  });
  return { name: username, ...((await response.json()) as { token: string; userId: string }) };
}

/** A token with a given lifetime, from an issuer whose clock may be ahead. Dev tokens last for hours. */
export function signed(who: Person, seconds: number, ahead = 0): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Date.now() / 1000 + ahead;
  const claims = { iss: 'chat-dev', aud: 'chat', sub: who.userId, iat: Math.floor(now), exp: Math.ceil(now + seconds), jti: randomUUID() };
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${body}.${createHmac('sha256', readFileSync(inject('keyFile'), 'utf8')).update(body).digest('base64url')}`;
}

export const options = (who: Person): ChatOptions => ({
  url: serverUrl(),
  token: async () => who.token,
  WebSocket: WebSocket as unknown as NonNullable<ChatOptions['WebSocket']>,
  timing: { backoffBase: 50, backoffCap: 400, receiptDelay: 20, gapDelay: 10 },
});

/** A device of a user, connected and synchronized. */
export async function device(who: Person, own: Partial<ChatOptions> = {}): Promise<Chat> {
  const chat = createChat({ ...options(who), ...own });
  onTestFinished(() => chat.stop());
  chat.start();
  await until(chat, (state) => state.connection.status === 'online' && state.listed);
  return chat;
}

/** Two people with a conversation. */
export async function couple(): Promise<{ alice: Person; bob: Person; a: Chat; b: Chat; id: string }> {
  const [alice, bob] = await Promise.all([person('alice'), person('bob')]);
  const [a, b] = await Promise.all([device(alice), device(bob)]);
  const id = await a.open({ username: bob.name });
  await b.load(id);
  return { alice, bob, a, b, id };
}

/** Waits for a state. Fails with the test's own time-out, and with the current state. */
export function until(chat: Chat, holds: (state: ChatState) => boolean, timeout = 20_000): Promise<ChatState> {
  return new Promise((resolve, reject) => {
    const at = new Error('The state has not come to what was waited for');
    const timer = setTimeout(() => {
      unsubscribe();
      at.message += `: ${JSON.stringify(chat.getState(), undefined, 1)}`;
      reject(at);
    }, timeout);
    const look = () => {
      if (!holds(chat.getState())) return;
      clearTimeout(timer);
      unsubscribe();
      resolve(chat.getState());
    };
    const unsubscribe = chat.subscribe(look);
    look();
  });
}

export const lines = (chat: Chat, id: string): readonly TimelineItem[] => timelineOf(chat.getState(), id);
export const texts = (chat: Chat, id: string): readonly string[] => lines(chat, id).map((line) => line.content);
export const statuses = (chat: Chat, id: string) => lines(chat, id).map((line) => line.status);

/** The messages that the server has stored. */
export async function stored(chat: Chat, id: string): Promise<readonly string[]> {
  return (await chat.api.messages(id, { limit: 200 })).messages.map((message) => message.content);
}
