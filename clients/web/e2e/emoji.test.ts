import type { BrowserContextOptions } from 'playwright-core';
import { expect, test } from 'vitest';
import { eventually, uniqueName, useBrowserStage, violations, type Person } from './people.ts';

const stage = useBrowserStage();
const button = (person: Person) => person.page.locator('.emoji-button');
const picker = (person: Person) => person.page.locator('.emoji-picker');
const options = (person: Person) => picker(person).getByRole('option');
const offers = (person: Person) => person.page.locator('.emoji-offers').getByRole('option');
const written = (person: Person) => eventually(() => person.composer.inputValue());

test('the data is loaded on demand, from the server itself', async () => {
  const { alice } = await stage.pair();
  const asked: string[] = [];
  alice.page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await alice.composer.fill('no emoji: none at all');
  await alice.composer.press('Enter');
  await alice.sees('no emoji: none at all');
  expect(asked.filter((path) => path.includes('emoji'))).toEqual([]);
  await button(alice).click();
  await options(alice).first().waitFor();
  expect(asked.filter((path) => path.includes('emoji'))).toHaveLength(2);
});

test('a shortcode becomes an emoji at its closing colon, can be undone, and is ignored in code and within words', async () => {
  const { alice, bob } = await stage.pair();
  await alice.composer.pressSequentially('Done :tada: now');
  await written(alice).toBe('Done 🎉 now');
  await alice.composer.press('Enter');
  await bob.sees('Done 🎉 now');

  await alice.composer.pressSequentially(':tada:');
  await written(alice).toBe('🎉');
  await alice.composer.press('Control+z');
  await written(alice).toBe(':tada:');
  await alice.composer.pressSequentially(' ');
  expect(await alice.composer.inputValue()).toBe(':tada: ');

  // Unknown shortcodes, and those in code or within a word, stay text.
  for (const text of ['`:tada:` ', 'at 10:30:45 ', 'x:tada: ', ':no_such_emoji: ']) {
    await alice.composer.fill('');
    await alice.composer.pressSequentially(text);
    // If it were replaced, then together with the next one.
    await alice.composer.pressSequentially(':+1:');
    await written(alice).toBe(`${text}👍`);
  }

  // In the middle of the text, with the caret after it.
  await alice.composer.fill('before after');
  await alice.composer.evaluate((box: HTMLTextAreaElement) => box.setSelectionRange(7, 7));
  await alice.composer.pressSequentially(':heart:!');
  await written(alice).toBe('before ❤️!after');
});

test('suggestions: arrows select, Enter and Tab insert, Escape dismisses', async () => {
  const { alice } = await stage.pair();
  await alice.composer.pressSequentially('hello :smi');
  await eventually(() => offers(alice).count()).toBe(6);
  expect(await offers(alice).first().textContent()).toContain(':smile:');
  const chosen = () => alice.composer.evaluate((box) => document.getElementById(box.getAttribute('aria-activedescendant') ?? '')?.textContent);
  expect(await chosen()).toContain('😄');
  expect(await violations(alice.page)).toEqual([]);
  await alice.composer.press('ArrowDown');
  expect(await chosen()).toContain('😏');
  await alice.composer.press('ArrowUp');
  await alice.composer.press('Enter');
  await written(alice).toBe('hello 😄');
  expect(await offers(alice).count()).toBe(0);

  // Enter has sent nothing, and Escape has closed the suggestions only.
  expect(await alice.texts()).toEqual([]);
  await alice.composer.pressSequentially(' :rock');
  await offers(alice).first().waitFor();
  await alice.composer.press('Escape');
  await eventually(() => offers(alice).count()).toBe(0);
  await alice.composer.pressSequentially('et');
  expect(await offers(alice).count()).toBe(0);
  await alice.composer.pressSequentially(' :rocket');
  await offers(alice).first().waitFor();
  await alice.composer.press('Tab');
  await written(alice).toBe('hello 😄 :rocket 🚀');

  // By mouse, without losing the focus.
  await alice.composer.fill('');
  await alice.composer.pressSequentially(':pizz');
  await offers(alice).first().click();
  await written(alice).toBe('🍕');
  expect(await alice.composer.evaluate((box) => box === document.activeElement)).toBe(true);
  await alice.composer.press('Enter');
  await alice.sees('🍕');
});

test('the picker by keyboard: search, arrows, and insertion at the caret', async () => {
  const { alice } = await stage.pair();
  const { page } = alice;
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
  await alice.composer.fill('ab');
  await alice.composer.press('ArrowLeft');
  await page.keyboard.press('Tab');
  expect(await focused()).toBe('Emoji');
  await page.keyboard.press('Enter');
  await options(alice).first().waitFor();
  await eventually(focused).toBe('Search emoji');
  expect(await violations(alice.page)).toEqual([]);

  await page.keyboard.press('ArrowDown');
  expect(await focused()).toBe('grinning face');
  await page.keyboard.press('ArrowRight');
  expect(await focused()).toBe('grinning face with big eyes');
  const top = () => page.evaluate(() => document.activeElement!.getBoundingClientRect().top);
  const before = await top();
  await page.keyboard.press('ArrowDown');
  expect(await top()).toBeGreaterThan(before);
  await page.keyboard.press('End');
  await page.keyboard.press('Home');
  expect(await focused()).toBe('grinning face');
  // The groups, by arrow keys.
  await page.keyboard.press('Shift+Tab');
  expect(await focused()).toBe('Smileys and emotion');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  expect(await focused()).toBe('Animals and nature');
  await picker(alice).getByRole('option', { name: 'cat face', exact: true }).waitFor();

  // Typing searches, wherever the focus is.
  await page.keyboard.type('octopus');
  expect(await focused()).toBe('Search emoji');
  await eventually(() => options(alice).count()).toBe(1);
  await page.keyboard.press('Enter');
  await written(alice).toBe('a🐙b');
  expect(await picker(alice).count()).toBe(0);
  await page.keyboard.type('!');
  await written(alice).toBe('a🐙!b');
  expect(await alice.texts()).toEqual([]);

  // Recent emoji come first; Escape closes the picker, not the conversation.
  await button(alice).click();
  await eventually(() => options(alice).count()).toBe(1);
  expect(await options(alice).first().getAttribute('aria-label')).toBe('octopus');
  await page.keyboard.type('zzzz');
  await picker(alice).getByText('No emoji found.').waitFor();
  expect(await violations(alice.page)).toEqual([]);
  await page.keyboard.press('Escape');
  await picker(alice).waitFor({ state: 'detached' });
  expect(await focused()).toBe('Emoji');
  expect(await alice.composer.count()).toBe(1);
  // A click elsewhere closes it, too.
  await button(alice).click();
  await options(alice).first().waitFor();
  await alice.scroller.click({ position: { x: 20, y: 20 } });
  await picker(alice).waitFor({ state: 'detached' });
});

test('a sign-out removes the recent emoji', async () => {
  const { alice, path } = await stage.pair();
  await button(alice).click();
  await options(alice).first().click();
  await written(alice).toBe('😀');
  const kept = () => alice.page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('chat.emoji')));
  expect(await kept()).toHaveLength(1);
  await alice.page.getByRole('button', { name: 'Your menu' }).click();
  await alice.page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
  await alice.page.getByLabel('Username').waitFor();
  expect(await kept()).toEqual([]);
  expect(path).toContain('/c/');
});

const phone = (width: number, more: BrowserContextOptions = {}): BrowserContextOptions => ({ viewport: { width, height: 740 }, isMobile: true, hasTouch: true, ...more });
const looks: [string, BrowserContextOptions][] = [
  ['320 px', phone(320)],
  ['360 px', phone(360)],
  ['dark', phone(390, { colorScheme: 'dark' })],
  ['forced colours', phone(390, { forcedColors: 'active' })],
  ['right-to-left', phone(360, { locale: 'ar' })],
  ['German', phone(360, { locale: 'de' })],
  ['a low window', { viewport: { width: 1024, height: 420 }, hasTouch: true, isMobile: true }],
];

test.each(looks)('touch targets are 44 px, nothing overflows the window, and axe finds no violation: %s', async (_, options) => {
  const [name, bob] = [uniqueName('alice'), uniqueName('bob')];
  await stage.token(bob);
  const { id } = await stage.api<{ id: string }>(name, 'POST', '/chat/conversations', { username: bob });
  const page = await stage.open(`/c/${id}`, options);
  await page.locator('#credential').fill(name);
  await page.keyboard.press('Enter');
  await page.locator('.emoji-button').tap();
  await page.locator('.emoji-list [role=option]').first().waitFor();
  expect(await violations(page)).toEqual([]);
  const sizes = await page.locator('.emoji-button, .emoji-search input, .emoji-tabs [role=tab], .emoji-list [role=option]:nth-child(-n+20)').evaluateAll((all) => all.map((element) => element.getBoundingClientRect()).map(({ width, height }) => Math.min(width, height)));
  expect(Math.min(...sizes)).toBeGreaterThanOrEqual(44);
  const box = (await page.locator('.emoji-picker').boundingBox())!;
  const viewport = page.viewportSize()!;
  expect(box.x).toBeGreaterThanOrEqual(0);
  expect(box.y).toBeGreaterThanOrEqual(0);
  expect(box.x + box.width).toBeLessThanOrEqual(viewport.width);
  expect(box.y + box.height).toBeLessThanOrEqual(viewport.height);
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  // The grid never scrolls sideways.
  expect(await page.locator('.emoji-list').evaluate((list) => list.scrollWidth <= list.clientWidth)).toBe(true);

  await page.locator('.emoji-tabs [role=tab]').last().tap();
  await page.locator('.emoji-list [role=option]').first().tap();
  await eventually(() => page.locator('.composer textarea').inputValue()).toBe('🏁');
  await page.locator('.composer textarea').pressSequentially(':smi');
  await page.locator('.emoji-offers [role=option]').first().waitFor();
  const offered = await page.locator('.emoji-offers [role=option]').evaluateAll((all) => all.map((element) => element.getBoundingClientRect().height));
  expect(Math.min(...offered)).toBeGreaterThanOrEqual(44);
  expect(await violations(page)).toEqual([]);
});

test('the search uses names in the language of the page', async () => {
  const [name, bob] = [uniqueName('alice'), uniqueName('bob')];
  await stage.token(bob);
  const { id } = await stage.api<{ id: string }>(name, 'POST', '/chat/conversations', { username: bob });
  const page = await stage.open(`/c/${id}`, { locale: 'de' });
  await page.locator('#credential').fill(name);
  await page.keyboard.press('Enter');
  await page.locator('.emoji-button').click();
  await page.locator('.emoji-search input').fill('tintenfisch');
  const found = page.locator('.emoji-list [role=option]');
  await found.first().waitFor();
  expect(await found.allTextContents()).toContain('🦑');
  expect(await page.locator('.emoji-list').getAttribute('lang')).toBe('de');
});

test('if the data cannot be loaded, the picker says so and typed text stays', async () => {
  const { alice } = await stage.pair({ serviceWorkers: 'block' });
  await alice.page.route('**/assets/*emoji*', (route) => route.abort());
  await button(alice).click();
  await picker(alice).getByText('The emoji could not be loaded. Try again later.').waitFor();
  await alice.page.keyboard.press('Escape');
  await alice.composer.pressSequentially(':tada: it is');
  await alice.composer.press('Enter');
  await alice.sees(':tada: it is');
});
