import { describe, expect, test } from 'vitest';
import { Person, signIn, eventually, uniqueName, useBrowserStage } from './people.ts';

/** Regression tests. */

const stage = useBrowserStage();
const small = { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true };

describe('time and ticks never overlap text', () => {
  const texts = {
    arabic: 'مرحبا بك',
    hebrew: 'שלום לך',
    'one arabic letter': 'م',
    english: 'hello there',
    'arabic within english': 'the word مرحبا بالعالم',
    'english within arabic': 'مرحبا hello there',
    'numbers in hebrew': 'שלום 12:30, 45%',
    'two paragraphs of two directions': 'hello there\nمرحبا بك',
    'two paragraphs the other way': 'مرحبا بك\nhello there',
    'a long line': 'word '.repeat(60).trim(),
    'a long arabic line': 'كلمة '.repeat(60).trim(),
    'a line that fills its bubble': 'x'.repeat(400),
    'a link': 'https://example.org/a/long/path?with=a&query=in#it',
    code: 'see ```\nlet x = 1;\n```',
    emoji: '🎉',
  };

  test.each([
    ['a wide window', {}],
    ['a narrow one', small],
  ])('in %s', async (_, options) => {
    const { alice, bob } = await stage.pair(options);
    for (const text of Object.values(texts)) {
      await alice.composer.fill(text);
      await alice.page.getByRole('button', { name: 'Send', exact: true }).click();
      // One message of each side, each the last of its group, which has the time.
      await alice.page.locator('.row.own').last().locator('[data-status=sent], [data-status=delivered], [data-status=read]').waitFor();
      await bob.composer.fill(text);
      await bob.page.getByRole('button', { name: 'Send', exact: true }).click();
      await eventually(() => alice.page.locator('.row[data-seq]').last().evaluate((row) => row.classList.contains('own'))).toBe(false);
    }
    const overlaps = await alice.page.evaluate(() =>
      [...document.querySelectorAll('.row[data-seq] .content')].flatMap((content) => {
        const stamp = content.querySelector('.stamp')!.getBoundingClientRect();
        const range = document.createRange();
        range.selectNodeContents(content.querySelector('.text')!);
        return [...range.getClientRects()]
          .filter((line) => line.width > 0 && Math.min(line.right, stamp.right) - Math.max(line.left, stamp.left) > 0.5 && Math.min(line.bottom, stamp.bottom) - Math.max(line.top, stamp.top) > 0.5)
          .map(() => content.textContent);
      }),
    );
    expect(overlaps).toEqual([]);
  });
});

describe('a draft', () => {
  test('is restored after the session has expired, in a new window, for its owner only', async () => {
    const { alice, path } = await stage.pair();
    await alice.composer.fill('half a thought');
    // As if the token were rejected.
    await alice.page.evaluate(() => sessionStorage.clear());
    await alice.page.reload();
    await alice.page.getByLabel('Username').waitFor();
    await signIn(alice.page, uniqueName('somebody'));
    expect(await alice.page.getByText('half a thought').count()).toBe(0);

    const again = await stage.openIn(alice.page.context(), path);
    await signIn(again, alice.name);
    const person = new Person(stage, again, alice.name);
    await eventually(() => person.composer.inputValue()).toBe('half a thought');
  });

  test('is shown in the list, and removed by a deliberate sign-out', async () => {
    const { alice, bob, path } = await stage.pair();
    await alice.composer.fill('half a thought');
    await alice.page.keyboard.press('Escape');
    await alice.line(bob.name).getByText('Draft:').waitFor();
    await alice.line(bob.name).getByText('half a thought').waitFor();

    await alice.page.getByRole('button', { name: 'Your menu' }).click();
    await alice.page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
    await alice.page.getByLabel('Username').waitFor();
    expect(await alice.page.evaluate(() => JSON.stringify({ ...localStorage }) + JSON.stringify({ ...sessionStorage }))).not.toContain('half a thought');
    await alice.page.goto(stage.url + path);
    await signIn(alice.page, alice.name);
    expect(await alice.composer.inputValue()).toBe('');
  });

  test('is continued at its end', async () => {
    const { alice, bob } = await stage.pair();
    await alice.composer.fill('half');
    await alice.page.keyboard.press('Escape');
    await alice.go(bob.name);
    await alice.page.keyboard.type(' a thought');
    expect(await alice.composer.inputValue()).toBe('half a thought');
  });

  test('that is left ends the typing indicator', async () => {
    const { alice, bob } = await stage.pair();
    await alice.composer.pressSequentially('half');
    await bob.page.getByRole('img', { name: `${alice.name} is typing` }).waitFor();
    await alice.page.keyboard.press('Escape');
    await bob.page.getByRole('img', { name: `${alice.name} is typing` }).waitFor({ state: 'detached', timeout: 3000 });
  });
});

describe('signing out', () => {
  test('in one window signs out the others', async () => {
    const page = await stage.open();
    await page.getByLabel('Keep me signed in on this device').check();
    await signIn(page, uniqueName('alice'));
    const second = await stage.openIn(page.context());
    await second.locator('.app').waitFor();
    await page.getByRole('button', { name: 'Your menu' }).click();
    await page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
    await page.getByLabel('Username').waitFor();
    await second.getByLabel('Username').waitFor();
    await second.reload();
    await second.getByLabel('Username').waitFor();
    expect(await second.evaluate(() => JSON.stringify({ ...localStorage }) + JSON.stringify({ ...sessionStorage }))).not.toContain('token');
  });

  test('asks if messages are unsent, and removes them', async () => {
    const { alice, bob } = await stage.pair();
    await alice.page.context().setOffline(true);
    await alice.banner.waitFor();
    await alice.say('a secret');
    await alice.say('another');
    await alice.page.getByRole('button', { name: 'Your menu' }).click();
    await alice.page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
    const dialog = alice.page.getByRole('dialog', { name: '2 messages have not been sent' });
    await dialog.getByRole('button', { name: 'Stay signed in' }).click();
    await dialog.waitFor({ state: 'detached' });
    await alice.seesStatus('a secret', 'sending');

    await alice.page.getByRole('button', { name: 'Your menu' }).click();
    await alice.page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
    await dialog.getByRole('button', { name: 'Discard and sign out' }).click();
    await alice.page.locator('.signin').waitFor();
    const left = await alice.page.evaluate(async () => {
      const found: unknown[] = [];
      for (const { name } of await indexedDB.databases())
        await new Promise<void>((resolve) => {
          const opening = indexedDB.open(name!);
          opening.onsuccess = () => {
            const stores = [...opening.result.objectStoreNames];
            if (stores.length === 0) return resolve();
            const all = opening.result.transaction(stores).objectStore(stores[0]!).getAll();
            all.onsuccess = () => {
              found.push(...(all.result as unknown[]));
              opening.result.close();
              resolve();
            };
          };
        });
      return JSON.stringify(found);
    });
    expect(left).not.toContain('secret');
    await alice.page.context().setOffline(false);
    await alice.page.reload();
    await signIn(alice.page, alice.name);
    await alice.line(bob.name).waitFor();
    expect(await bob.texts()).toEqual([]);
  });
});

test('Enter that confirms an IME composition does not send, even if it follows compositionend', async () => {
  const { alice } = await stage.pair();
  await alice.composer.fill('にほん');
  await alice.composer.evaluate((box) => {
    // As in Safari.
    box.dispatchEvent(new CompositionEvent('compositionend', { data: 'にほん', bubbles: true }));
    const key = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true });
    Object.defineProperty(key, 'keyCode', { value: 229 });
    box.dispatchEvent(key);
  });
  expect(await alice.texts()).toEqual([]);
  expect(await alice.composer.inputValue()).toBe('にほん');
});

test('long names do not overflow in a small window', async () => {
  const long = `w${'x'.repeat(40)}${uniqueName('')}`.padEnd(59, 'y');
  const name = uniqueName('alice');
  await Promise.all([stage.token(long), stage.token(name)]);
  const { id } = await stage.api<{ id: string }>(name, 'POST', '/chat/conversations', { username: long });
  const alice = await stage.enter(name, small, `/c/${id}`);
  await alice.composer.waitFor();
  const isWithin = async (selector: string) => {
    const boxes = await alice.page.locator(selector).evaluateAll((all) => all.map((one) => one.getBoundingClientRect()).filter(({ width }) => width > 0).map(({ left, right }) => [left, right]));
    expect(boxes.length).toBeGreaterThan(0);
    for (const [left, right] of boxes) {
      expect(left).toBeGreaterThanOrEqual(0);
      expect(right).toBeLessThanOrEqual(320);
    }
  };
  await isWithin('.bar > *, .bar-title > *');
  await alice.page.locator('section').getByRole('button', { name: 'More' }).click();
  await isWithin('.menu, .menu *');
  await alice.page.getByRole('menuitem').click();
  await isWithin('dialog, dialog *');
  await alice.page.keyboard.press('Escape');

  await alice.page.getByRole('button', { name: 'Back to the conversations' }).click();
  await isWithin('.sidebar, .sidebar .bar > *');
  await alice.page.getByRole('button', { name: 'New conversation' }).first().click();
  await alice.page.getByRole('dialog').getByLabel('Name').fill('z'.repeat(200));
  await alice.page.keyboard.press('Enter');
  await alice.page.getByRole('alert').filter({ hasText: 'There is no user' }).waitFor();
  await isWithin('dialog, dialog *');
  expect(await alice.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
});

test('history: after the back arrow of a conversation, the browser\'s back leaves the list', async () => {
  const { alice: one, bob } = await stage.pair();
  await one.page.context().close();
  const alice = await stage.enter(one.name, small);
  await alice.line(bob.name).click();
  await alice.composer.waitFor();
  const path = new URL(alice.page.url()).pathname;
  await alice.page.getByRole('button', { name: 'Back to the conversations' }).click();
  await alice.line(bob.name).waitFor();
  await eventually(async () => new URL(alice.page.url()).pathname).toBe('/');
  await alice.page.goForward();
  await alice.composer.waitFor();
  await alice.page.goBack();
  await alice.line(bob.name).waitFor();
  await alice.page.goBack();
  expect(new URL(alice.page.url()).pathname).not.toBe(path);
});

test('a forged token is rejected with a fitting message', async () => {
  const page = await stage.open();
  await page.getByRole('button', { name: 'Use a token instead' }).click();
  await page.getByLabel('Token').fill((await stage.token(uniqueName('somebody'))).replace(/\.[^.]*$/, '.bm90IHRoZSBzaWduYXR1cmU'));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The server did not accept this sign-in. Sign in again.').waitFor();
});

test('repeated text is announced twice, and the character counter only at steps', async () => {
  const { alice, bob } = await stage.pair();
  await eventually(() => alice.status.textContent()).toBe('Online');
  await bob.say('ping');
  await alice.sees('ping');
  await bob.say('ping');
  await eventually(() => alice.page.locator('[role=log] p').allTextContents()).toEqual([`${bob.name}: ping`, `${bob.name}: ping`]);

  await alice.composer.fill('x'.repeat(3850));
  await alice.page.getByText('150 characters left').first().waitFor();
  const before = await alice.page.locator('[role=log] p').count();
  await alice.composer.press('y');
  await alice.composer.press('y');
  expect(await alice.page.locator('[role=log] p').count()).toBe(before);
});

test('the chosen theme also colours the browser\'s bars', async () => {
  const alice = await stage.enter(undefined, { colorScheme: 'light' });
  const bar = () => alice.page.evaluate(() => [...document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')].find((meta) => matchMedia(meta.media).matches)?.content);
  expect(await bar()).toBe('#ffffff');
  await alice.page.getByRole('button', { name: 'Your menu' }).click();
  await alice.page.getByRole('menuitem', { name: 'Settings' }).click();
  await alice.page.getByRole('radio', { name: 'Dark' }).check();
  expect(await bar()).toBe('#1a1b19');
});

test('the focus is not lost after signing in, a dialog, or going to the latest message', async () => {
  const alice = await stage.enter();
  const focused = () => alice.page.evaluate(() => document.activeElement?.tagName);
  await eventually(focused).not.toBe('BODY');
  await alice.page.getByRole('button', { name: 'New conversation' }).first().focus();
  await alice.page.keyboard.press('Enter');
  await alice.page.getByRole('dialog').waitFor();
  await alice.page.keyboard.press('Escape');
  await alice.page.getByRole('dialog').waitFor({ state: 'detached' });
  expect(await focused()).toBe('BUTTON');
});

test('forced colours: the composer, the focus, the open row, badges and read ticks are visible', async () => {
  const { alice, bob } = await stage.pair({ forcedColors: 'active' });
  await alice.say('hello');
  await alice.seesStatus('hello', 'read');
  const style = (selector: string, property: string) => alice.page.locator(selector).first().evaluate((element, name) => getComputedStyle(element).getPropertyValue(name), property);
  expect(await style('.composer-box', 'border-top-style')).toBe('solid');
  await alice.composer.focus();
  expect(await style('.composer-box', 'outline-style')).toBe('solid');
  expect(await style('.bubble', 'border-top-style')).toBe('solid');
  expect(await style('.conversation[aria-current=page]', 'background-color')).not.toBe(await style('.sidebar', 'background-color'));
  expect(await style('.delivery-status.read', 'color')).not.toBe(await style('.bubble', 'color'));
  await alice.page.locator('section').getByRole('button', { name: 'More' }).focus();
  await alice.page.keyboard.press('Enter');
  expect(await style('[role=menuitem]:focus-visible', 'background-color')).not.toBe(await style('.menu', 'background-color'));
  await bob.page.close();
});
