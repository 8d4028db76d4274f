import { describe, expect, test } from 'vitest';
import { fill, eventually, uniqueName, useBrowserStage, type Person } from './people.ts';

/** The unread divider, the scroll position, and what is marked as read. */

const stage = useBrowserStage();
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name} ${index + 1}`);

/** A conversation with so many read and so many unread messages. */
async function unreadConversation(read: number, unread: number): Promise<{ alice: string; bob: string; id: string }> {
  const [alice, bob] = [uniqueName('alice'), uniqueName('bob')];
  await stage.token(alice);
  const { id } = await stage.api<{ id: string }>(bob, 'POST', '/chat/conversations', { username: alice });
  if (read > 0) await fill(stage, bob, id, numbered('old', read));
  if (read > 0) await stage.api(alice, 'POST', `/chat/conversations/${id}/read`, {});
  if (unread > 0) await fill(stage, bob, id, numbered('new', unread));
  return { alice, bob, id };
}

/** Two users at the end of forty messages, all read. */
async function together(): Promise<{ alice: Person; bob: Person; id: string }> {
  const { alice: name, bob: other, id } = await unreadConversation(40, 0);
  const [alice, bob] = await Promise.all([stage.enter(name, {}, `/c/${id}`), stage.enter(other, {}, `/c/${id}`)]);
  await Promise.all([alice.sees('old 40'), bob.sees('old 40')]);
  await eventually(() => alice.status.textContent()).toBe('Online');
  // A round trip: what was missed has arrived before it.
  await bob.say('here');
  await alice.sees('here');
  await bob.seesStatus('here', 'read');
  return { alice, bob, id };
}

const cursorOf = async (name: string, id: string): Promise<{ unread: number }> => stage.api(name, 'GET', `/chat/conversations/${id}`);

/** Checks that the divider is visible, with the first unread message below it. */
async function isAtDivider({ page }: Person): Promise<void> {
  const divider = page.locator('.divider.unread');
  await divider.waitFor();
  const [line, view, first] = await Promise.all([divider.boundingBox(), page.locator('.scroller').boundingBox(), page.locator('.row', { has: page.getByText('new 1', { exact: true }) }).boundingBox()]);
  expect(line!.y).toBeGreaterThanOrEqual(view!.y);
  expect(line!.y + line!.height).toBeLessThan(view!.y + view!.height);
  expect(first!.y).toBeGreaterThanOrEqual(line!.y + line!.height - 1);
  expect(first!.y).toBeLessThan(view!.y + view!.height);
}

describe.each([
  ['100 read and 30 unread', 100, 30],
  ['100 read and 120 unread', 100, 120],
  ['30 unread and none read', 0, 30],
  ['450 unread, more than two pages', 60, 450],
])('%s', (_, read, unread) => {
  test.each([
    ['a click', 'click', {}],
    ['its address', 'link', {}],
    ['a click on a phone', 'click', phone],
  ] as const)('opened by %s: begins at the first unread, and only what was in view is read', async (_name, way, options) => {
    const { alice: name, bob, id } = await unreadConversation(read, unread);
    const alice = await stage.enter(name, options, way === 'link' ? `/c/${id}` : '/');
    if (way === 'click') await alice.line(bob).click();
    await isAtDivider(alice);
    // It stays there.
    await alice.page.waitForFunction(() => new Promise((resolve) => setTimeout(() => resolve(true), 700)));
    await isAtDivider(alice);
    const lastInView = await alice.page.evaluate(() => {
      const bottom = document.querySelector('.scroller')!.getBoundingClientRect().bottom;
      return [...document.querySelectorAll<HTMLElement>('.row[data-seq]')].filter((row) => row.getBoundingClientRect().bottom <= bottom + 4).reduce((most, row) => Math.max(most, Number(row.dataset.seq)), 0);
    });
    expect(lastInView).toBeLessThan(read + unread);
    await eventually(async () => (await cursorOf(name, id)).unread).toBeLessThanOrEqual(read + unread - lastInView + 1);
    expect((await cursorOf(name, id)).unread).toBeGreaterThanOrEqual(read + unread - lastInView - 1);

    // Scrolling to the end marks the rest as read.
    await eventually(async () => {
      await alice.scroller.evaluate((element) => element.scrollBy(0, element.clientHeight));
      return (await cursorOf(name, id)).unread;
    }).toBe(0);
  });
});

test('unread messages that fit into the window are all visible, with the divider, and read', async () => {
  const { alice: name, bob, id } = await unreadConversation(100, 3);
  const alice = await stage.enter(name);
  await alice.line(bob).click();
  await alice.sees('new 3');
  await isAtDivider(alice);
  await eventually(async () => (await cursorOf(name, id)).unread).toBe(0);
});

test.each([
  ['forty lines', Array.from({ length: 40 }, (_, index) => `line ${index + 1}`).join('\n')],
  ['four thousand characters', 'many words '.repeat(363)],
])('the list sticks to the end when the other sends %s', async (_, long) => {
  const { alice, bob } = await together();
  const distance = () => alice.scroller.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
  await eventually(distance).toBeLessThan(2);
  await bob.say(long.trim());
  await alice.page.locator('.row', { hasText: long.slice(0, 12) }).last().waitFor();
  await eventually(distance).toBeLessThan(2);
  await bob.say('and this');
  await alice.sees('and this');
  await eventually(distance).toBeLessThan(2);
  expect(await alice.page.locator('.to-bottom').count()).toBe(0);
  await bob.seesStatus('and this', 'read');
});

test('messages missed offline do not scroll past the divider in an active window', async () => {
  const { alice, bob, id } = await together();

  await alice.page.context().setOffline(true);
  await alice.banner.waitFor();
  await fill(stage, bob.name, id, numbered('new', 50));
  await alice.page.context().setOffline(false);
  await eventually(() => alice.banner.count()).toBe(0);
  await isAtDivider(alice);
  await alice.page.getByRole('button', { name: /new message/ }).waitFor();
  expect((await cursorOf(alice.name, id)).unread).toBeGreaterThan(20);

  await alice.page.getByRole('button', { name: /new message/ }).click();
  await eventually(() => alice.page.title()).toBe(`${bob.name} · Chat`);
  // From here on messages are live again: no divider.
  await bob.say('live');
  await alice.sees('live');
  expect((await alice.page.locator('.row .text, .divider.unread').allTextContents()).slice(-2)).not.toContain('New');
});

test('messages that arrive in an inactive window wait at the first one', async () => {
  const { alice, bob, id } = await together();
  // Headless windows always have the focus: fake another one.
  await alice.page.evaluate(() => {
    Object.defineProperty(document, 'hasFocus', { value: () => false, configurable: true });
    window.dispatchEvent(new Event('blur'));
  });
  await fill(stage, bob.name, id, numbered('new', 50));
  await eventually(() => alice.page.title()).toBe(`(50) ${bob.name} · Chat`);
  await isAtDivider(alice);
  await alice.page.evaluate(() => {
    Reflect.deleteProperty(document, 'hasFocus');
    window.dispatchEvent(new Event('focus'));
  });
  await eventually(async () => (await cursorOf(alice.name, id)).unread).toBeLessThan(50);
  await isAtDivider(alice);
  expect((await cursorOf(alice.name, id)).unread).toBeGreaterThan(20);
});

test('the typing indicator disappears with the connection', async () => {
  const { alice, bob } = await stage.pair();
  await bob.composer.pressSequentially('hal');
  await alice.page.getByRole('img', { name: `${bob.name} is typing` }).waitFor();
  await alice.page.context().setOffline(true);
  await alice.page.getByRole('img', { name: `${bob.name} is typing` }).waitFor({ state: 'detached' });
  expect(await alice.line(bob.name).getByText('typing…').count()).toBe(0);
});
