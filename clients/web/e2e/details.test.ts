import type { WebSocketRoute } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { fill, Person, signIn, eventually, uniqueName, useBrowserStage } from './people.ts';

/** Regression tests for details. */

const stage = useBrowserStage();

/** Answers an event instead of the server. */
async function refuse({ page }: Person, type: string, code: string): Promise<void> {
  await page.context().routeWebSocket(/\/chat\/ws/, (socket: WebSocketRoute) => {
    const server = socket.connectToServer();
    socket.onMessage((data) => {
      const event = JSON.parse(String(data)) as { type: string; id: string };
      if (event.type !== type) return server.send(data);
      socket.send(JSON.stringify({ type: 'error', id: event.id, payload: { code, message: 'refused', retryable: false } }));
    });
  });
  await page.reload();
}

describe('a block that fails', () => {
  test.each([
    ['RATE_LIMITED', 'Blocking failed. Too many requests. Wait a moment, then try again.'],
    ['LIMIT_REACHED', 'Blocking failed. You have reached a limit of this server.'],
  ])('shows why (%s) for some time', async (code, words) => {
    const { alice } = await stage.pair();
    await refuse(alice, 'block.add', code);
    await alice.composer.waitFor();
    await eventually(() => alice.status.textContent()).toBe('Online');
    await alice.changeBlock();
    const alert = alice.page.getByRole('alert');
    await eventually(() => alert.allTextContents()).toEqual([words]);
    expect(await alice.status.textContent()).toBe('Online');
    await alert.waitFor({ state: 'detached' });
    expect(await alice.composer.count()).toBe(1);
  });

  test('shows why unblocking failed, in the conversation and in the settings', async () => {
    const { alice } = await stage.pair();
    await alice.changeBlock();
    await alice.page.locator('.notice').waitFor();
    await refuse(alice, 'block.remove', 'UNAVAILABLE');
    const words = 'Unblocking failed. The server is temporarily unavailable. Try again soon.';
    await alice.page.locator('.notice').getByRole('button', { name: 'Unblock' }).click();
    await alice.page.locator('.toast').getByText(words).waitFor();
    await alice.page.getByRole('button', { name: 'Your menu' }).click();
    await alice.page.getByRole('menuitem', { name: 'Settings' }).click();
    await alice.page.getByRole('dialog').getByRole('button', { name: /Unblock/ }).click();
    await alice.page.getByRole('dialog').getByText(words).waitFor();
  });
});

test('icons in buttons have the colour of the label, in light and dark', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const alice = await stage.enter(undefined, { colorScheme });
    const colors = await alice.page.locator('.button.primary').first().evaluate((button) => [getComputedStyle(button).color, getComputedStyle(button.querySelector('svg')!).stroke]);
    expect(colors[1]).toBe(colors[0]);
  }
});

test('a list row has a readable accessible name', async () => {
  const { alice, bob } = await stage.pair();
  await alice.say('first');
  await bob.sees('first');
  await alice.seesStatus('first', 'read');
  await alice.line(bob.name).getByText('first').waitFor();
  const read = (person: Person, name: string) => person.line(name).ariaSnapshot();
  expect(await read(alice, bob.name)).toMatch(/Read You: first/);
  await bob.page.keyboard.press('Escape');
  await alice.say('second');
  await alice.say('third');
  await eventually(() => read(bob, alice.name)).toMatch(/third ?, 2 unread messages/);
  expect(await read(bob, alice.name)).not.toMatch(/2 2|Sent You/);
});

test('"Loading older messages…" is announced when older ones are loaded, not at the first opening', async () => {
  const [name, bob] = [uniqueName('alice'), uniqueName('bob')];
  await stage.token(name);
  const { id } = await stage.api<{ id: string }>(bob, 'POST', '/chat/conversations', { username: name });
  await fill(stage, bob, id, Array.from({ length: 30 }, (_, index) => `line ${index + 1}`));
  const alice = await stage.enter(name);
  await alice.line(bob).waitFor();
  await alice.page.evaluate(() => {
    const said: string[] = [];
    new MutationObserver(() => {
      if (document.body.textContent?.includes('Loading older')) said.push('said');
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
    Object.assign(window, { said });
  });
  await alice.line(bob).click();
  await alice.sees('line 1');
  await alice.page.getByText(`This is the beginning of your conversation with ${bob}.`).waitFor({ state: 'attached' });
  expect(await alice.page.evaluate(() => (window as unknown as { said: string[] }).said)).toEqual([]);
});

test('an unknown address shows the page, with a link back', async () => {
  const alice = await stage.enter();
  for (const path of ['/no/such/page', '/c/', '/settings']) {
    const answer = await alice.page.goto(stage.url + path);
    expect(answer!.headers()['content-type']).toContain('text/html');
    await alice.page.getByRole('heading', { name: 'Page not found' }).waitFor();
    await alice.page.getByRole('button', { name: 'Back to the conversations' }).click();
    await alice.page.getByText('No conversations yet').waitFor();
  }
});

test('the focus stays in the list after going to the latest message', async () => {
  const [name, bob] = [uniqueName('alice'), uniqueName('bob')];
  await stage.token(name);
  const { id } = await stage.api<{ id: string }>(bob, 'POST', '/chat/conversations', { username: name });
  await fill(stage, bob, id, Array.from({ length: 120 }, (_, index) => `line ${index + 1}`));
  await stage.api(name, 'POST', `/chat/conversations/${id}/read`, {});
  const alice = await stage.enter(name, {}, `/c/${id}`);
  await alice.sees('line 120');
  await alice.scroller.evaluate((element) => element.scrollBy(0, -900));
  const button = alice.page.getByRole('button', { name: 'Go to the latest message' });
  await button.focus();
  await alice.page.keyboard.press('Enter');
  await button.waitFor({ state: 'detached' });
  expect(await alice.page.evaluate(() => document.activeElement?.className)).toBe('scroller');
});

test('stacked combining marks stay within their bubble, row and header', async () => {
  const piled = `Z${'\u0336\u0310\u033e\u0359'.repeat(40)}`;
  const { alice, bob } = await stage.pair();
  await alice.say('a neighbour above');
  await alice.seesStatus('a neighbour above', 'read');
  await bob.page.keyboard.press('Escape');
  const shot = () => alice.message('a neighbour above').locator('.content').screenshot({ animations: 'disabled', caret: 'hide' });
  await alice.page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await stage.api(bob.name, 'POST', `/chat/conversations/${new URL(alice.page.url()).pathname.slice(3)}/messages`, { content: 'plain' });
  await alice.sees('plain');
  const before = await shot();
  await stage.api(bob.name, 'POST', `/chat/conversations/${new URL(alice.page.url()).pathname.slice(3)}/messages`, { content: piled });
  await alice.page.locator('.row', { hasText: 'Z' }).last().waitFor();
  expect((await shot()).equals(before)).toBe(true);
});

test.each([
  ['en-GB', /^\d\d:\d\d$/, /^\w+,? \d{1,2} \w+ \d{4} at \d\d:\d\d$/],
  ['en-US', /^\d{1,2}:\d\d\s[AP]M$/, /^\w+, \w+ \d{1,2}, \d{4} at \d{1,2}:\d\d\s[AP]M$/],
  ['de', /^\d\d:\d\d$/, /^\w+, \d{1,2}\. \S+ \d{4} um \d\d:\d\d$/],
])('times are formatted for %s, with the full date on hover', async (locale, short, full) => {
  const { alice, path } = await stage.pair();
  await alice.say('when?');
  await alice.seesStatus('when?', 'read');
  const page = await stage.open(path, { locale });
  await page.locator('#credential').fill(alice.name);
  await page.keyboard.press('Enter');
  const stamp = page.locator('.row.own .stamp').last();
  expect(await stamp.locator('time').textContent()).toMatch(short);
  expect(await stamp.getAttribute('title')).toMatch(full);
});

test('an empty conversation is visible to its opener only, until there is a message', async () => {
  const [name, other] = [uniqueName('alice'), uniqueName('bob')];
  await stage.token(other);
  const bob = await stage.enter(other);
  await bob.page.getByText('No conversations yet').waitFor();
  const alice = await stage.enter(name);
  await alice.startWith(other);
  await alice.page.getByText(`Say hello to ${other}.`).waitFor();
  await alice.line(other).waitFor();
  // Also from the server's list, and after a reload.
  const isDone = bob.page.waitForEvent('websocket').then((socket) =>
    socket.waitForEvent('framereceived', { predicate: ({ payload }) => payload.includes('"sync.done"') }));
  await bob.page.reload();
  await isDone;
  await bob.page.getByText('No conversations yet').waitFor();
  expect(await bob.line(name).count()).toBe(0);
  await alice.page.reload();
  await alice.line(other).waitFor();

  await alice.composer.waitFor();
  await alice.say('hello');
  await bob.line(name).getByText('hello').waitFor();
});

test('with full or blocked storage the page works, and warns that nothing is stored', async () => {
  const page = await stage.open('/', { serviceWorkers: 'block' });
  await page.context().addInitScript(() => {
    const denied = () => {
      throw new DOMException('denied', 'SecurityError');
    };
    for (const area of ['localStorage', 'sessionStorage']) Object.defineProperty(window, area, { get: denied });
    IDBFactory.prototype.open = denied;
  });
  await page.reload();
  const name = uniqueName('alice');
  await signIn(page, name);
  const bob = uniqueName('bob');
  await stage.token(bob);
  const alice = new Person(stage, page, name);
  await alice.startWith(bob);
  await page.context().setOffline(true);
  await alice.say('not kept');
  await alice.banner.getByText('This browser blocks storage').waitFor();
  await page.context().setOffline(false);
  await alice.seesStatus('not kept', 'sent');
});
