import type { BrowserContextOptions } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { eventually, uniqueName, useBrowserStage, type Person } from './people.ts';

/** Features that users expect of a messenger. */

const stage = useBrowserStage();
const phone: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

async function meet(name: string, ...others: string[]): Promise<void> {
  await stage.token(name);
  for (const other of others) {
    const { id } = await stage.api<{ id: string }>(other, 'POST', '/chat/conversations', { username: name });
    await stage.api(other, 'POST', `/chat/conversations/${id}/messages`, { content: `hello from ${other}` });
  }
}

describe('finding a conversation', () => {
  test('by part of a name, in the list and by Ctrl+K, which also starts new ones', async () => {
    const [name, one, two, unknown] = [uniqueName('alice'), uniqueName('konrad'), uniqueName('conrad'), uniqueName('newcomer')];
    await meet(name, one, two);
    await stage.token(unknown);
    const alice = await stage.enter(name);
    await alice.line(two).waitFor();
    await alice.page.getByLabel('Search').fill('KONR');
    await eventually(() => alice.page.locator('a.conversation .name').allTextContents()).toEqual([one]);
    await alice.page.keyboard.press('Enter');
    await eventually(() => alice.page.locator('section h1').textContent()).toBe(one);
    expect(await alice.page.getByLabel('Search').inputValue()).toBe('');
    await alice.page.getByLabel('Search').fill('no such name');
    await alice.page.getByText('Nobody found.').waitFor();
    await alice.page.keyboard.press('Escape');

    await alice.page.keyboard.press('Control+k');
    const dialog = alice.page.getByRole('dialog');
    await alice.page.keyboard.type('onrad');
    const options = dialog.getByRole('option');
    await eventually(() => options.allTextContents()).toEqual([expect.stringContaining(two), expect.stringContaining(one), 'Start with “onrad”']);
    await alice.page.keyboard.press('ArrowDown');
    await alice.page.keyboard.press('ArrowUp');
    await alice.page.keyboard.press('Enter');
    await eventually(() => alice.page.locator('section h1').textContent()).toBe(two);

    await alice.page.keyboard.press('Control+k');
    await alice.page.keyboard.type(unknown);
    await eventually(() => options.allTextContents()).toEqual([`Start with “${unknown}”`]);
    await alice.page.keyboard.press('Enter');
    await eventually(() => alice.page.locator('section h1').textContent()).toBe(unknown);
  });
});

describe('a message', () => {
  test('is formatted, has safe links, and copies as typed', async () => {
    const { alice, bob } = await stage.pair();
    const text = 'See *this* and _that_: `a * b` at https://example.org/a_b_c?d=(e). Not javascript:alert(1).';
    await alice.say(text);
    await bob.page.locator('.row .address').waitFor();
    const row = bob.page.locator('.row .text').last();
    expect(await row.locator('strong').textContent()).toBe('this');
    expect(await row.locator('em').textContent()).toBe('that');
    expect(await row.locator('code').textContent()).toBe('a * b');
    const link = row.locator('a');
    expect(await link.evaluateAll((all) => all.map((one) => [one.getAttribute('href'), one.getAttribute('rel'), one.getAttribute('target'), one.textContent]))).toEqual([
      ['https://example.org/a_b_c?d=(e)', 'noopener noreferrer nofollow', '_blank', 'https://example.org/a_b_c?d=(e)'],
    ]);
    const selected = await row.evaluate((element) => {
      getSelection()!.selectAllChildren(element);
      return getSelection()!.toString();
    });
    expect(selected).toBe(text);
  });

  test('of one to three emoji is large, others are not', async () => {
    const { alice } = await stage.pair();
    for (const text of ['🎉', '🎉🎉🎉', '🎉🎉🎉🎉', '🎉 yes']) await alice.say(text);
    await alice.seesStatus('🎉 yes', 'read');
    const size = (text: string) => alice.message(text).locator('.text').evaluate((element) => parseFloat(getComputedStyle(element).fontSize));
    const [usual, big] = [await size('🎉 yes'), await size('🎉')];
    expect(big).toBeGreaterThan(usual * 2);
    expect([await size('🎉🎉🎉'), await size('🎉🎉🎉🎉')]).toEqual([big, usual]);
  });

  test('has a menu by mouse and keyboard, which copies it and restores the focus', async () => {
    const { alice, bob } = await stage.pair();
    await alice.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await bob.say('copy *me*');
    const row = alice.page.locator('.row[data-seq]').last();
    await row.hover();
    await row.getByRole('button', { name: 'Message menu' }).click();
    await alice.page.getByRole('menuitem', { name: 'Copy text' }).click();
    await eventually(() => alice.page.evaluate(() => navigator.clipboard.readText())).toBe('copy *me*');
    await alice.page.locator('[role=log]').getByText('Copied.').waitFor({ state: 'attached' });

    // Arrow up in an empty box goes to the last message, and then from message to message.
    await bob.say('another');
    await alice.sees('another');
    await alice.composer.focus();
    const focused = () => alice.page.evaluate(() => document.activeElement?.querySelector('.text')?.textContent);
    await alice.page.keyboard.press('ArrowUp');
    await eventually(focused).toBe('another');
    await alice.page.keyboard.press('ArrowUp');
    await eventually(focused).toBe('copy *me*');
    await alice.page.keyboard.press('Enter');
    await alice.page.getByRole('menu', { name: 'Message menu' }).waitFor();
    await alice.page.keyboard.press('Escape');
    await eventually(focused).toBe('copy *me*');
    await alice.page.keyboard.press('ArrowDown');
    await alice.page.keyboard.press('ArrowDown');
    expect(await alice.composer.evaluate((box) => box === document.activeElement)).toBe(true);
  });

  test('has a menu by long press on a phone', async () => {
    const { alice, bob } = await stage.pair(phone);
    await bob.say('press me');
    await alice.sees('press me');
    const bubble = alice.message('press me').locator('.bubble');
    await bubble.dispatchEvent('pointerdown', { pointerType: 'touch', clientX: 40, clientY: 40, bubbles: true });
    await alice.page.getByRole('menu', { name: 'Message menu' }).waitFor();
    // A moving finger scrolls, and opens no menu.
    await alice.page.keyboard.press('Escape');
    await alice.page.getByRole('menu').waitFor({ state: 'detached' });
    await bubble.dispatchEvent('pointerdown', { pointerType: 'touch', clientX: 40, clientY: 40, bubbles: true });
    await bubble.dispatchEvent('pointermove', { pointerType: 'touch', clientX: 40, clientY: 80, bubbles: true });
    await alice.page.waitForFunction(() => new Promise((resolve) => setTimeout(() => resolve(true), 700)));
    expect(await alice.page.getByRole('menu').count()).toBe(0);
  });
});

describe('settings', () => {
  const open = async ({ page }: Person) => {
    await page.getByRole('button', { name: 'Your menu' }).click();
    await page.getByRole('menuitem', { name: 'Settings' }).click();
  };

  test('a larger text size scales everything, and is remembered', async () => {
    const { alice } = await stage.pair();
    const sizes = () => alice.page.evaluate(() => [parseFloat(getComputedStyle(document.querySelector('.composer textarea')!).fontSize), document.querySelector('.conversation .avatar')!.getBoundingClientRect().width]);
    const [text, avatar] = (await sizes()) as [number, number];
    await open(alice);
    await alice.page.getByRole('radio', { name: 'Larger' }).check();
    await alice.page.reload();
    await alice.composer.waitFor();
    const [larger, wider] = (await sizes()) as [number, number];
    expect(larger).toBeGreaterThan(text * 1.25);
    expect(wider).toBeGreaterThan(avatar * 1.25);
  });

  test('Enter sends or inserts a line, by setting; on a phone it inserts a line', async () => {
    const { alice } = await stage.pair();
    await open(alice);
    await alice.page.getByRole('switch', { name: 'Enter sends' }).click();
    await alice.page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await alice.composer.pressSequentially('one\ntwo');
    expect(await alice.composer.inputValue()).toBe('one\ntwo');
    expect(await alice.texts()).toEqual([]);
    await alice.composer.press('Control+Enter');
    await alice.sees('one\ntwo');

    const { alice: other } = await stage.pair(phone);
    await other.composer.pressSequentially('one');
    await other.composer.press('Enter');
    await other.composer.pressSequentially('two');
    expect(await other.composer.inputValue()).toBe('one\ntwo');
    expect(await other.composer.getAttribute('enterkeyhint')).toBe('enter');
  });

  test('blocked people are listed, and can be unblocked', async () => {
    const { alice, bob } = await stage.pair();
    await open(alice);
    await alice.page.getByText('You have not blocked anybody.').waitFor();
    await alice.page.keyboard.press('Escape');
    await alice.changeBlock();
    await alice.page.locator('.notice').waitFor();
    await open(alice);
    await alice.page.getByRole('dialog').getByText(bob.name).waitFor();
    await alice.page.getByRole('dialog').getByRole('button', { name: `Unblock ${bob.name}` }).click();
    await alice.page.getByText('You have not blocked anybody.').waitFor();
    await alice.page.keyboard.press('Escape');
    await alice.composer.waitFor();
  });

  test('dialogs have a close button, and one lists the keyboard shortcuts', async () => {
    const alice = await stage.enter();
    await alice.page.keyboard.press('Control+/');
    const dialog = alice.page.getByRole('dialog', { name: 'Keyboard shortcuts' });
    await dialog.getByText('Go to or start a conversation').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await dialog.waitFor({ state: 'detached' });
  });
});

test.each([
  ['de-AT', 'Unterhaltungen', 'ltr'],
  ['fr', 'Conversations', 'ltr'],
  ['es-MX', 'Conversaciones', 'ltr'],
  ['ar', 'المحادثات', 'rtl'],
  ['pt', 'Conversations', 'ltr'],
])('the page uses the language of the browser: %s', async (locale, title, direction) => {
  const { alice, bob, path } = await stage.pair();
  await alice.say('hello');
  await bob.sees('hello');
  const page = await stage.open(path, { locale });
  await page.locator('#credential').fill(bob.name);
  await page.keyboard.press('Enter');
  await page.locator('nav.sidebar').waitFor();
  expect(await page.locator('nav.sidebar').getAttribute('aria-label')).toBe(title);
  expect(await page.evaluate(() => document.documentElement.dir)).toBe(direction);
  // The list is at the start of the line, and text is aligned by its own direction.
  await page.locator('.row[data-seq]').waitFor();
  const [list, pane] = await Promise.all([page.locator('.sidebar').boundingBox(), page.locator('.pane').boundingBox()]);
  expect(list!.x < pane!.x).toBe(direction === 'ltr');
  const box = page.locator('.composer textarea');
  expect(await box.evaluate((element) => getComputedStyle(element).direction)).toBe(direction);
  await box.fill(direction === 'rtl' ? 'hello' : 'مرحبا');
  expect(await box.evaluate((element) => getComputedStyle(element).direction)).toBe(direction === 'rtl' ? 'ltr' : 'rtl');
});
