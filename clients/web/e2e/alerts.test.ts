import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { eventually, uniqueName, useBrowserStage, type Person } from './people.ts';

const stage = useBrowserStage();

interface Shown {
  title: string;
  body: string;
  tag: string;
  isClosed: boolean;
}
interface Watched {
  shown: (Shown & { onclick?: () => void })[];
  tones: number;
  badge: number;
  canNotify: NotificationPermission;
}

/** Records the notifications and sounds of a page. */
const watch = (page: Page, answer: NotificationPermission = 'granted') =>
  page.addInitScript((answer) => {
    const watched: Watched = { shown: [], tones: 0, badge: 0, canNotify: (sessionStorage.getItem('may') as NotificationPermission | null) ?? 'default' };
    class Fake {
      static get permission() {
        return watched.canNotify;
      }
      static requestPermission() {
        watched.canNotify = answer;
        sessionStorage.setItem('may', answer);
        return Promise.resolve(answer);
      }
      readonly record: Shown;
      constructor(title: string, { body, tag }: { body: string; tag: string }) {
        this.record = { title, body, tag, isClosed: false };
        watched.shown.push(this.record);
        Object.defineProperty(this.record, 'onclick', { get: () => (this as { onclick?: () => void }).onclick });
      }
      close() {
        this.record.isClosed = true;
      }
    }
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (when) {
      watched.tones++;
      start.call(this, when);
    };
    Object.assign(window, { Notification: Fake, watched });
    Object.assign(navigator, { setAppBadge: (count: number) => Promise.resolve(void (watched.badge = count)) });
  }, answer);

const watched = <Value>(person: Person, read: (watched: Watched) => Value) =>
  person.page.evaluate(`(${read.toString()})(window.watched)`) as Promise<Value>;

const lookAway = (person: Person) =>
  person.page.evaluate(() => {
    Object.defineProperty(document, 'hasFocus', { value: () => false, configurable: true });
    window.dispatchEvent(new Event('blur'));
  });
const lookBack = (person: Person) =>
  person.page.evaluate(() => {
    Reflect.deleteProperty(document, 'hasFocus');
    window.dispatchEvent(new Event('focus'));
  });

async function turnOn(person: Person, ...switches: string[]): Promise<void> {
  await person.page.getByRole('button', { name: 'Your menu' }).click();
  await person.page.getByRole('menuitem', { name: 'Settings' }).click();
  for (const name of switches) await person.page.getByRole('switch', { name }).click();
  for (const name of switches) await eventually(() => person.page.getByRole('switch', { name }).isChecked()).toBe(true);
  await person.page.keyboard.press('Escape');
}

test('notifications are shown while the window is inactive, if enabled, and a click opens the conversation', async () => {
  const { alice, bob, path } = await stage.pair();
  // An empty conversation is not in bob's list.
  await alice.say('hello');
  await alice.seesStatus('hello', 'read');
  await watch(bob.page);
  await bob.page.reload();
  await bob.composer.waitFor();
  await bob.page.goto(stage.url);
  await bob.line(alice.name).waitFor();

  // Permission was not requested before.
  expect(await watched(bob, ({ canNotify }) => canNotify)).toBe('default');
  await lookAway(bob);
  await alice.say('before');
  await eventually(() => bob.line(alice.name).locator('.badge').textContent()).toBe('1');
  await lookBack(bob);
  await turnOn(bob, 'Notify me of new messages', 'Play a sound');

  // Not while the window is active.
  await bob.go(alice.name);
  await alice.say('seen');
  await alice.seesStatus('seen', 'read');
  await lookAway(bob);
  const tones = await watched(bob, ({ tones }) => tones);
  await alice.say('are you there?');
  await eventually(() => watched(bob, ({ shown }) => shown.map(({ title, body }) => `${title}: ${body}`))).toEqual([`${alice.name}: are you there?`]);
  expect(await watched(bob, ({ tones }) => tones)).toBe(tones + 2);
  expect(await watched(bob, ({ badge }) => badge)).toBe(1);
  expect(await bob.page.title()).toBe(`(1) ${alice.name} · Chat`);
  expect(await bob.page.locator('link[rel=icon]').getAttribute('href')).toBe('/favicon-unread.svg');

  // From elsewhere in the page, the notification opens the conversation, and closes.
  await bob.page.evaluate(() => {
    history.pushState(null, '', '/');
    window.dispatchEvent(new PopStateEvent('popstate'));
  });
  await lookBack(bob);
  await watched(bob, ({ shown }) => shown[0]!.onclick!());
  await eventually(async () => new URL(bob.page.url()).pathname).toBe(path);
  await alice.seesStatus('are you there?', 'read');
  expect(await watched(bob, ({ shown }) => shown[0]!.isClosed)).toBe(true);
  await eventually(() => bob.page.title()).toBe(`${alice.name} · Chat`);
  await eventually(() => watched(bob, ({ badge }) => badge)).toBe(0);
  expect(await bob.page.locator('link[rel=icon]').getAttribute('href')).toBe('/favicon.svg');
});

test('a notification closes when its message is read elsewhere, and is not shown if another window shows it', async () => {
  const { alice, bob, path } = await stage.pair();
  await watch(bob.page);
  await bob.page.reload();
  await turnOn(bob, 'Notify me of new messages');
  const other = await stage.enter(bob.name, {}, path);
  await other.composer.waitFor();
  await lookAway(bob);
  await alice.say('read in the other window');
  await alice.seesStatus('read in the other window', 'read');

  await lookAway(other);
  await alice.say('read by nobody');
  // On a busy machine it may have been shown for a moment.
  const open = () => watched(bob, ({ shown }) => shown.flatMap(({ body, isClosed }) => (isClosed ? [] : [body])));
  await eventually(open).toEqual(['read by nobody']);
  await lookBack(other);
  await eventually(open).toEqual([]);
});

test('the settings say if the browser blocks notifications', async () => {
  const alice = await stage.enter(uniqueName('alice'));
  await watch(alice.page, 'denied');
  await alice.page.reload();
  await alice.page.getByRole('button', { name: 'Your menu' }).click();
  await alice.page.getByRole('menuitem', { name: 'Settings' }).click();
  const choice = alice.page.getByRole('switch', { name: 'Notify me of new messages' });
  await choice.click();
  await eventually(() => choice.isDisabled()).toBe(true);
  expect(await choice.isChecked()).toBe(false);
  await alice.page.getByText('The browser blocks notifications for this page.').waitFor();
});

test('the browser asks before closing only while messages are unsent', async () => {
  const { alice } = await stage.pair();
  await alice.say('sent');
  await alice.seesStatus('sent', 'read');
  const before = stage.asked;
  await alice.page.reload();
  await alice.sees('sent');
  expect(stage.asked).toBe(before);

  await alice.page.context().setOffline(true);
  await alice.banner.waitFor();
  await alice.say('not sent');
  await alice.seesStatus('not sent', 'sending');
  await alice.page.close({ runBeforeUnload: true });
  await eventually(async () => stage.asked).toBe(before + 1);
});

test('typing anywhere goes to the composer; commands, menus and fields keep their keys', async () => {
  const { alice } = await stage.pair();
  const blur = () => alice.page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await blur();
  await alice.page.keyboard.type('hello');
  expect(await alice.composer.inputValue()).toBe('hello');
  await alice.scroller.focus();
  await alice.page.keyboard.press('!');
  expect(await alice.composer.inputValue()).toBe('hello!');

  await blur();
  await alice.page.keyboard.press('Control+b');
  await alice.page.keyboard.press('Space');
  await alice.page.keyboard.press('Escape');
  expect(await alice.composer.count()).toBe(0);
  await alice.page.getByLabel('Search').fill('x');
  await alice.page.keyboard.press('y');
  expect(await alice.page.getByLabel('Search').inputValue()).toBe('xy');
  await alice.page.getByLabel('Search').fill('');
  await alice.page.locator('a.conversation').first().click();
  await alice.page.locator('section').getByRole('button', { name: 'More' }).click();
  await alice.page.keyboard.press('z');
  expect(await alice.composer.inputValue()).toBe('hello!');
});
