import { mkdirSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { eventually, uniqueName, useBrowserStage } from './people.ts';

/** Screenshots of the main states, for review: test-results/screens. Those in docs/screenshots are taken from them. */

const stage = useBrowserStage();
const folder = fileURLToPath(new URL('../../test-results/screens/', import.meta.url));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const looks = (['light', 'dark'] as const).flatMap((colorScheme) => (['desktop', 'phone'] as const).map((size) => ({ colorScheme, size })));

async function take(page: Page, name: string): Promise<void> {
  const path = `${folder}${name}.png`;
  // Without the blinking caret.
  await page.screenshot({ path, caret: 'hide', animations: 'disabled' });
  expect(statSync(path).size).toBeGreaterThan(2_000);
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window').toBe(true);
}

describe.each(looks)('$colorScheme, $size', ({ colorScheme, size }) => {
  const options: BrowserContextOptions = { colorScheme, viewport: sizes[size], ...(size === 'phone' && { isMobile: true, hasTouch: true }) };

  const shoot = (page: Page, state: string) => take(page, `${state}-${colorScheme}-${size}`);

  test('the main states', async () => {
    // Each look has its own users, since a username belongs to one user for good.
    const look = looks.findIndex((one) => one.colorScheme === colorScheme && one.size === size);
    const called = (...choice: string[]) => choice[look]!;
    const names = {
      me: `Robin ${called('Castle', 'Vale', 'Marsh', 'Stone')}`,
      maya: `Maya ${called('Lind', 'Berg', 'Holm', 'Dahl')}`,
      jonas: called('Jonas', 'Jonah', 'Joona', 'Yunus'),
      noor: called('نور', 'ليلى', 'سارة', 'مريم'),
      theo: `Théo ${called('Marchand', 'Laurent', 'Girard', 'Perrin')}`,
    };

    const page = await stage.open('/', options);
    await page.getByLabel('Username').waitFor();
    await shoot(page, 'sign-in');
    await page.context().close();

    const me = await stage.enter(names.me, options);
    await me.page.getByText('No conversations yet').waitFor();
    await shoot(me.page, 'empty');

    const say = async (from: string, id: string, ...contents: string[]) => {
      for (const content of contents) await stage.api(from, 'POST', `/chat/conversations/${id}/messages`, { content });
    };
    const meet = async (other: string) => (await stage.api<{ id: string }>(other, 'POST', '/chat/conversations', { username: names.me })).id;
    const theo = await meet(names.theo);
    await say(names.me, theo, 'Merci for yesterday');
    await say(names.theo, theo, 'À bientôt !');
    await stage.api(names.me, 'POST', `/chat/conversations/${theo}/read`, {});
    await say(names.noor, await meet(names.noor), 'مرحبا! هل أنت هناك؟');
    await say(names.jonas, await meet(names.jonas), 'The train is late again', 'I will be there at ten past', 'Order without me');

    const id = await meet(names.maya);
    const maya = await stage.enter(names.maya, {}, `/c/${id}`);
    await maya.composer.waitFor();
    await say(names.maya, id, 'Did you see the new plans for the harbour?', 'They want to move the market hall to the other side of the canal.');
    await say(names.me, id, 'I did. It looks better than I expected, to be honest.', 'Though nobody has said where the boats will go.');
    await say(names.maya, id, 'Ha, true! The boats 🛶');
    await me.line(names.maya).waitFor();
    await shoot(me.page, 'list');

    await me.go(names.maya);
    await me.sees('Ha, true! The boats 🛶');
    await me.say('Shall we go and have a look on Saturday?');
    await me.seesStatus('Shall we go and have a look on Saturday?', 'read');
    await shoot(me.page, 'conversation');

    await maya.composer.pressSequentially('Yes');
    await me.page.getByRole('img', { name: `${names.maya} is typing` }).waitFor();
    await shoot(me.page, 'typing');
    await maya.composer.fill('');
    await me.page.getByRole('img', { name: `${names.maya} is typing` }).waitFor({ state: 'detached' });

    await me.page.context().setOffline(true);
    await me.banner.waitFor();
    await me.say('I am in the tunnel');
    await me.seesStatus('I am in the tunnel', 'sending');
    await shoot(me.page, 'offline');
    await me.page.context().setOffline(false);
    await me.seesStatus('I am in the tunnel', 'read');
    await eventually(() => me.banner.count()).toBe(0);

    await maya.changeBlock();
    await maya.page.locator('.notice').waitFor();
    await me.say('Are you there?');
    await me.seesStatus('Are you there?', 'failed');
    await shoot(me.page, 'failed');
    await maya.page.getByRole('button', { name: 'Unblock' }).click();

    await me.message('Are you there?').getByRole('button', { name: 'Discard' }).click();
    await me.page.locator('section').getByRole('button', { name: 'More' }).click();
    await shoot(me.page, 'menu');
    await me.page.getByRole('menuitem').click();
    await shoot(me.page, 'asks');
    await me.page.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
    await me.page.locator('.notice').waitFor();
    await shoot(me.page, 'blocked');
  });
});

const others: [string, BrowserContextOptions][] = [
  ['360', { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }],
  ['768', { viewport: { width: 768, height: 1024 }, hasTouch: true }],
  ['1920', { viewport: { width: 1920, height: 1080 } }],
  ['forced-light', { viewport: sizes.desktop, forcedColors: 'active', colorScheme: 'light' }],
  ['forced-dark', { viewport: sizes.desktop, forcedColors: 'active', colorScheme: 'dark' }],
  ['right-to-left', { viewport: sizes.desktop, locale: 'ar' }],
  ['right-to-left-phone', { viewport: sizes.phone, isMobile: true, hasTouch: true, locale: 'ar' }],
  ['german-360', { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, locale: 'de' }],
];

test.each(others)('the list, a conversation, its menu and the settings: %s', async (look, options) => {
  const [name, bob, carol] = [uniqueName('alice'), uniqueName('bob'), 'Konstantin-Alexander Freiherr von und zu Hohenfels'];
  const page = await stage.open('/', options);
  await page.locator('#credential').fill(name);
  await page.keyboard.press('Enter');
  await page.locator('.app').waitFor();
  for (const [other, ...contents] of [
    [carol, 'https://example.org/a/rather/long/address/that/does/not/fit/into/one/line?of=the-window', 'See you'],
    [bob, 'Good morning!', 'مرحبا، كيف حالك اليوم؟', '*Bold*, _italic_ and `code`'],
  ] as const) {
    const { id } = await stage.api<{ id: string }>(other, 'POST', '/chat/conversations', { username: name });
    for (const content of contents) await stage.api(other, 'POST', `/chat/conversations/${id}/messages`, { content });
    if (other === bob) await stage.api(name, 'POST', `/chat/conversations/${id}/messages`, { content: 'Good morning to you, too. I have read it all, and shall answer in the evening.' });
  }
  await page.locator('a.conversation').nth(1).waitFor();
  await take(page, `list-${look}`);
  await page.locator('a.conversation').first().click();
  await page.locator('.row.own').waitFor();
  await take(page, `conversation-${look}`);
  await page.locator('section header [aria-haspopup=menu]').click();
  await page.locator('.menu').waitFor();
  await take(page, `menu-${look}`);
  await page.keyboard.press('Escape');
  await page.locator('.emoji-button').click();
  await page.locator('.emoji-list [role=option]').first().waitFor();
  await take(page, `emoji-${look}`);
  await page.keyboard.press('Escape');
  await page.locator('.composer textarea').pressSequentially('Well :smi');
  await page.locator('.emoji-offers').waitFor();
  await take(page, `offers-${look}`);
  await page.locator('.composer textarea').fill('');
  await page.keyboard.press('Control+k');
  await page.locator('dialog.switcher input').fill('Konst');
  await take(page, `switcher-${look}`);
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('Control+/');
  await page.locator('dialog').waitFor();
  await take(page, `help-${look}`);
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
  // On a phone back to the list, where the account menu is.
  await page.locator('.phone-only').dispatchEvent('click');
  await page.locator('.avatar-button').click();
  await page.locator('.menu [role=menuitem]').first().click();
  await page.locator('dialog.settings').waitFor();
  await take(page, `settings-${look}`);
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
  await page.locator('.avatar-button').click();
  await take(page, `own-menu-${look}`);
  await page.locator('.menu [role=menuitem]').last().click();
  await page.locator('dialog').waitFor();
  await take(page, `sign-out-everywhere-${look}`);
});
