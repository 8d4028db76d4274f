import { describe, expect, test } from 'vitest';
import { isSignedInAs, Person, signIn, eventually, uniqueName, useBrowserStage } from './people.ts';

const stage = useBrowserStage();

describe('two people', () => {
  test('exchange messages, and see their delivery status', async () => {
    const [alice, bob] = await Promise.all([stage.enter(uniqueName('alice')), stage.enter(uniqueName('bob'))]);
    await alice.startWith(bob.name);

    await alice.say('hello');
    await alice.sees('hello');
    await bob.line(alice.name).waitFor();
    await alice.seesStatus('hello', 'delivered');

    await bob.go(alice.name);
    await bob.sees('hello');
    await alice.seesStatus('hello', 'read');

    await bob.say('hello yourself');
    await alice.sees('hello yourself');
    expect(await alice.texts()).toEqual(['hello', 'hello yourself']);
    expect(await bob.texts()).toEqual(['hello', 'hello yourself']);
  });

  test('a message to an offline user is sent, and delivered when they connect', async () => {
    const bob = uniqueName('bob');
    await stage.token(bob);
    const alice = await stage.enter(uniqueName('alice'));
    await alice.startWith(bob);
    await alice.say('are you there?');
    await alice.seesStatus('are you there?', 'sent');

    await stage.enter(bob);
    await alice.seesStatus('are you there?', 'delivered');
  });

  test('see each other typing', async () => {
    const { alice, bob } = await stage.pair();

    await alice.composer.pressSequentially('I am writ');
    await bob.page.getByRole('img', { name: `${alice.name} is typing` }).waitFor();
    expect(await bob.status.textContent()).toBe('typing…');
    await bob.line(alice.name).getByText('typing…').waitFor();

    await alice.composer.fill('');
    await bob.page.getByRole('img', { name: `${alice.name} is typing` }).waitFor({ state: 'detached' });
    await eventually(() => bob.status.textContent()).toBe('Online');
  });

  test('see each other\'s presence', async () => {
    const { alice, bob } = await stage.pair();
    await eventually(() => alice.status.textContent()).toBe('Online');
    expect(await alice.line(bob.name).locator('.dot').count()).toBe(1);

    await bob.page.close();
    await eventually(() => alice.status.textContent()).toBe('Last seen just now');
    expect(await alice.line(bob.name).locator('.dot').count()).toBe(0);
  });

  test('see the unread count and the unread divider', async () => {
    const { alice, bob } = await stage.pair();
    await alice.say('before');
    await bob.sees('before');
    await alice.seesStatus('before', 'read');
    await bob.page.keyboard.press('Escape');

    for (const text of ['one', 'two', 'three']) await alice.say(text);
    await bob.line(alice.name).getByText('3 unread').waitFor();
    await eventually(() => bob.page.title()).toBe('(3) Chat');
    await alice.seesStatus('three', 'delivered');

    await bob.go(alice.name);
    await bob.sees('three');
    const order = await bob.page.locator('.row .text, .divider.unread').allTextContents();
    expect(order).toEqual(['before', 'New', 'one', 'two', 'three']);
    await eventually(() => bob.page.title()).toBe(`${alice.name} · Chat`);
    await alice.seesStatus('three', 'read');
  });

  test('find everything after a reload, including a draft', async () => {
    const { alice, bob } = await stage.pair();
    await alice.say('kept');
    await bob.say('kept, too');
    await alice.sees('kept, too');
    await alice.composer.fill('not sent yet');

    await alice.page.reload();
    await alice.sees('kept, too');
    expect(await alice.texts()).toEqual(['kept', 'kept, too']);
    expect(await alice.composer.inputValue()).toBe('not sent yet');
  });

  test('can write several lines, but nothing blank', async () => {
    const { alice, bob } = await stage.pair();
    await alice.composer.fill('   ');
    await alice.composer.press('Enter');
    expect(await alice.page.getByRole('button', { name: 'Send', exact: true }).count()).toBe(0);

    await alice.composer.fill('first');
    await alice.composer.press('Shift+Enter');
    await alice.composer.pressSequentially('second');
    await alice.composer.press('Enter');
    await bob.page.locator('.row').getByText('first').waitFor();
    expect(await bob.texts()).toEqual(['first\nsecond']);
  });
});

describe('one person', () => {
  test('in two windows sees the same in both', async () => {
    const { alice, bob, path } = await stage.pair();
    const second = await stage.openIn(alice.page.context(), path);
    await signIn(second, alice.name);
    const other = new Person(stage, second, alice.name);
    await other.composer.waitFor();

    await alice.say('from the first');
    await other.sees('from the first');
    await other.say('from the second');
    await bob.say('to both');
    await Promise.all([alice.sees('to both'), other.sees('to both'), bob.sees('from the second')]);

    for (const window of [alice, other, bob]) expect((await window.texts()).toSorted()).toEqual(['from the first', 'from the second', 'to both']);
  });

  test('in two windows can be two users, unless the sign-in is remembered', async () => {
    const alice = await stage.enter();
    const second = await stage.openIn(alice.page.context());
    await second.getByLabel('Keep me signed in on this device').check();
    const other = uniqueName('somebody');
    await signIn(second, other);

    await alice.page.reload();
    await isSignedInAs(alice.page, alice.name);
    const third = await stage.openIn(alice.page.context());
    await isSignedInAs(third, other);

    await third.getByRole('button', { name: 'Your menu' }).click();
    await third.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
    await third.getByLabel('Username').waitFor();
    await third.reload();
    await third.getByLabel('Username').waitFor();
  });

  test('signs in with a token, with an error if it is invalid or rejected', async () => {
    const name = uniqueName('somebody');
    const page = await stage.open();
    await page.getByRole('button', { name: 'Use a token instead' }).click();
    await page.getByLabel('Token').fill('nonsense');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This is not a JSON Web Token.').waitFor();

    const token = await stage.token(name);
    await page.getByLabel('Token').fill(token.replace(/\.[^.]*$/, '.bm90IHRoZSBzaWduYXR1cmU'));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('The server did not accept this sign-in. Sign in again.').waitFor();

    await page.getByRole('button', { name: 'Use a token instead' }).click();
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await isSignedInAs(page, name);
  });

  test('sees an error for an unknown username or conversation', async () => {
    const alice = await stage.enter();
    await alice.page.getByText('No conversations yet').waitFor();
    await alice.page.getByRole('button', { name: 'New conversation' }).first().click();
    await alice.page.getByRole('dialog').getByLabel('Name').fill('nobody at all');
    await alice.page.keyboard.press('Enter');
    await alice.page.getByText('There is no user called “nobody at all”.').waitFor();
    await alice.page.keyboard.press('Escape');
    await alice.page.getByRole('dialog').waitFor({ state: 'detached' });

    await alice.page.goto(`${stage.url}/c/66cfdbe9-8f7a-4c6e-9d56-0d9e6d0a4f11`);
    await alice.page.getByText('Conversation not found').waitFor();
  });

  test('chooses a theme, which is remembered', async () => {
    const alice = await stage.enter(undefined, { colorScheme: 'light' });
    const ground = () => alice.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await ground();

    await alice.page.getByRole('button', { name: 'Your menu' }).click();
    await alice.page.getByRole('menuitem', { name: 'Settings' }).click();
    await alice.page.getByRole('radio', { name: 'Dark' }).check();
    const dark = await ground();
    expect(dark).not.toBe(light);
    await alice.page.reload();
    expect(await ground()).toBe(dark);
    await alice.page.getByRole('button', { name: 'Your menu' }).click();
    await alice.page.getByRole('menuitem', { name: 'Settings' }).click();
    await alice.page.getByRole('radio', { name: 'As the system' }).check();
    expect(await ground()).toBe(light);
  });
});

describe('a block', () => {
  test('stops both, is hidden from the other, and can be removed; a rejected message can be retried or discarded', async () => {
    const { alice, bob } = await stage.pair();
    await alice.say('before');
    await bob.sees('before');

    await bob.changeBlock();
    await bob.page.getByText(`You have blocked ${alice.name}.`, { exact: false }).waitFor();
    expect(await bob.composer.count()).toBe(0);
    expect(await bob.texts()).toEqual(['before']);

    await alice.say('refused');
    await alice.seesStatus('refused', 'failed');
    await alice.message('refused').getByText('Not sent. You cannot message this person.').waitFor();
    await eventually(() => alice.status.textContent()).toMatch(/^(Offline|Last seen .*)$/);
    await alice.say('refused for good');
    await alice.seesStatus('refused for good', 'failed');
    await alice.message('refused for good').getByRole('button', { name: 'Discard' }).click();
    await alice.message('refused for good').waitFor({ state: 'detached' });

    await bob.page.getByRole('button', { name: 'Unblock' }).click();
    await bob.composer.waitFor();
    await alice.message('refused').getByRole('button', { name: 'Try again' }).click();
    await bob.sees('refused');
    await alice.seesStatus('refused', 'read');
    expect(await bob.texts()).toEqual(['before', 'refused']);
    await eventually(() => alice.status.textContent()).toBe('Online');
  });
});
