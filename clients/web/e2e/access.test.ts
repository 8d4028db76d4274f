import type { BrowserContextOptions } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { eventually, uniqueName, useBrowserStage, violations } from './people.ts';

const stage = useBrowserStage();

const phone = { width: 390, height: 844 };
const desktop = { width: 1280, height: 800 };
const looks: [string, BrowserContextOptions][] = [
  ['light, desktop', { colorScheme: 'light', viewport: desktop }],
  ['dark, desktop', { colorScheme: 'dark', viewport: desktop }],
  ['light, phone', { colorScheme: 'light', viewport: phone, hasTouch: true, isMobile: true }],
  ['dark, phone', { colorScheme: 'dark', viewport: phone, hasTouch: true, isMobile: true }],
];

describe.each(looks)('%s', (_, look) => {
  test('axe finds no violation in any state', async () => {
    const page = await stage.open('/', look);
    await page.getByLabel('Username').waitFor();
    expect(await violations(page), 'sign in').toEqual([]);

    const alice = await stage.enter(uniqueName('alice'), look);
    await alice.page.getByText('No conversations yet').waitFor();
    expect(await violations(alice.page), 'empty').toEqual([]);
    await alice.page.getByRole('button', { name: 'New conversation' }).first().click();
    expect(await violations(alice.page), 'new conversation').toEqual([]);
    await alice.page.keyboard.press('Escape');
    await alice.page.getByRole('button', { name: 'Your menu' }).click();
    await alice.page.getByRole('menuitem', { name: 'Settings' }).click();
    expect(await violations(alice.page), 'settings').toEqual([]);
    await alice.page.keyboard.press('Escape');
    await alice.page.keyboard.press('Control+/');
    await alice.page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    expect(await violations(alice.page), 'help').toEqual([]);
    await alice.page.keyboard.press('Escape');

    const bob = await stage.enter(uniqueName('bob'));
    await alice.startWith(bob.name);
    await alice.say('one');
    await alice.seesStatus('one', 'delivered');
    await bob.go(alice.name);
    await bob.say('two');
    // Typing indicators are sent at most every two seconds.
    await eventually(async () => {
      await bob.composer.press('t');
      return alice.page.getByRole('img', { name: `${bob.name} is typing` }).count();
    }).toBe(1);
    expect(await violations(alice.page), 'conversation').toEqual([]);

    await bob.composer.fill('');
    await bob.changeBlock();
    await bob.page.locator('.notice').waitFor();
    await alice.say('refused');
    await alice.seesStatus('refused', 'failed');
    expect(await violations(alice.page), 'failed').toEqual([]);

    await alice.page.locator('section').getByRole('button', { name: 'More' }).click();
    expect(await violations(alice.page), 'menu').toEqual([]);
    await alice.page.getByRole('menuitem').click();
    expect(await violations(alice.page), 'asks before a block').toEqual([]);
    await alice.page.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
    await alice.page.locator('.notice').waitFor();
    await alice.page.context().setOffline(true);
    await alice.banner.waitFor();
    expect(await violations(alice.page), 'blocked, offline').toEqual([]);
  });
});

test('everything works without a mouse', async () => {
  const [bob, carol] = [uniqueName('bob'), uniqueName('carol')];
  await Promise.all([stage.token(bob), stage.token(carol)]);
  const page = await stage.open();
  const press = (...keys: string[]) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  // The name of the focused element. The page itself, focused by default, has none.
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.closest('a')?.querySelector('.name')?.textContent ?? document.activeElement?.id);

  // The field has the initial focus.
  await eventually(focused).toBe('credential');
  await page.keyboard.type(uniqueName('alice'));
  await press('Enter');
  for (const name of [bob, carol]) {
    await page.getByRole('button', { name: 'New conversation' }).first().waitFor();
    await press('Control+k');
    await page.keyboard.type(name);
    await press('Enter');
    await eventually(focused).toBe(`Message to ${name}`);
    await page.keyboard.type(`hello ${name}`);
    await press('Enter');
    // The list is in the order in which the server received them.
    await page.locator('.row', { hasText: `hello ${name}` }).locator('[data-status=sent], [data-status=delivered]').waitFor();
  }

  // Esc returns to the list synchronously, for fast typists; the arrows move in it, Enter opens.
  await page.evaluate(() => {
    document.activeElement!.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
    document.activeElement!.dispatchEvent(new KeyboardEvent('keydown', { key: 'End', bubbles: true, cancelable: true }));
  });
  expect(await focused()).toBe(bob);
  await press('Home');
  expect(await focused()).toBe(carol);
  await press('ArrowDown');
  expect(await focused()).toBe(bob);
  await press('ArrowDown', 'ArrowUp', 'Home', 'End', 'Enter');
  await eventually(focused).toBe(`Message to ${bob}`);

  // The menu by keyboard; Esc restores the focus.
  await press('Shift+Tab', 'Shift+Tab');
  expect(await focused()).toBe('More');
  await press('Enter');
  await page.getByRole('menu').waitFor();
  await press('Escape');
  expect(await focused()).toBe('More');
  expect(await page.getByRole('menu').count()).toBe(0);
  await press('Enter', 'Enter');
  await page.getByRole('dialog').waitFor();
  await press('Tab', 'Enter');
  await page.locator('.notice').waitFor();
  await press('Tab', 'Tab');
  await page.keyboard.press('Enter');
  await page.locator('.notice').waitFor({ state: 'detached' });
});
