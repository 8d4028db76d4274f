import type { BrowserContext, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { Person, signIn, eventually, uniqueName, useBrowserStage, violations } from './people.ts';

const stage = useBrowserStage();

const signInPage = (page: Page) => page.getByLabel('Username');
const isOnline = (page: Page) => page.locator('.app').waitFor();

/** A user in two windows of one browser, with the sign-in remembered. */
async function twice() {
  const name = uniqueName('twice');
  const one = await stage.open();
  await one.getByLabel('Keep me signed in').check();
  await signIn(one, name);
  const two = await stage.openIn(one.context());
  await isOnline(two);
  return { name, one, two };
}

async function signOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Your menu' }).click();
  await page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
  await signInPage(page).waitFor();
}

test('signing out in one window signs out all, also after a reload', async () => {
  const { one, two } = await twice();
  await signOut(one);
  await signInPage(two).waitFor();
  for (const page of [one, two]) {
    await page.reload();
    await signInPage(page).waitFor();
  }
  await signInPage(await stage.openIn(one.context())).waitFor();
});

test('two windows can be two users, who sign out separately', async () => {
  const { name, one } = await twice();
  const other = await stage.openIn(one.context());
  await signOut(other);
  await signIn(other, uniqueName('other'));
  const third = await stage.openIn(one.context());
  await signInPage(third).waitFor();
  expect(name).not.toBe('');
});

/** Everything that a browser has stored, as text. */
const kept = (page: Page) =>
  page.evaluate(async () => {
    const databases = await Promise.all(
      (await indexedDB.databases()).map(
        ({ name }) =>
          new Promise<unknown[]>((resolve, reject) => {
            const opening = indexedDB.open(name!);
            opening.onerror = () => reject(opening.error);
            opening.onsuccess = () => {
              const stores = [...opening.result.objectStoreNames];
              if (stores.length === 0) return resolve([]);
              const transaction = opening.result.transaction(stores);
              const all = stores.map((store) => transaction.objectStore(store).getAll());
              transaction.oncomplete = () => {
                opening.result.close();
                resolve(all.map(({ result }) => result));
              };
            };
          }),
      ),
    );
    return JSON.stringify([databases, { ...localStorage }, { ...sessionStorage }]);
  });

test('signing out everywhere asks first, ends all sessions of the user, and removes their data', async () => {
  const name = uniqueName('everywhere');
  const bob = await stage.enter();
  const desk = new Person(stage, await stage.open(), name);
  const phone = new Person(stage, await stage.open(), name);
  for (const { page } of [desk, phone]) {
    await page.getByLabel('Keep me signed in').check();
    await signIn(page, name);
  }
  const second = await stage.openIn(phone.page.context());
  await isOnline(second);
  await desk.startWith(bob.name);
  await desk.say('something said');
  await phone.go(bob.name);
  await phone.sees('something said');
  await phone.composer.fill('half a thought');
  // Wait until it is cached.
  await eventually(async () => (await kept(phone.page)).includes('something said')).toBe(true);
  expect(await kept(phone.page)).toContain('half a thought');
  let renewals = 0;
  await phone.page.context().route('**/dev/token', (route) => (renewals++, route.fallback()));

  const ask = async () => {
    await desk.page.getByRole('button', { name: 'Your menu' }).click();
    await desk.page.getByRole('menuitem', { name: 'Sign out everywhere' }).click();
    return desk.page.getByRole('dialog', { name: 'Sign out on all devices?' });
  };
  expect(await violations((await ask()).page())).toEqual([]);
  await desk.page.getByRole('dialog').getByRole('button', { name: 'Stay signed in' }).click();
  await desk.say('still here');
  await desk.seesStatus('still here', 'delivered');

  // A failed request shows an error, and can be retried.
  await desk.page.route('**/chat/sessions', (route) => route.abort(), { times: 1 });
  await (await ask()).getByRole('button', { name: 'Sign out everywhere' }).click();
  const failed = desk.page.getByRole('dialog', { name: 'Sign out everywhere' });
  await failed.getByText('Signing out everywhere failed. The server cannot be reached.').waitFor();
  await failed.getByRole('button', { name: 'Try again' }).click();

  for (const page of [desk.page, phone.page, second]) {
    await signInPage(page).waitFor();
    expect(await page.getByRole('alert').textContent()).toBe('You are signed out on all devices. Sign in again.');
    for (const left of ['something said', 'half a thought', '"token"']) await eventually(async () => (await kept(page)).includes(left)).toBe(false);
  }
  await phone.page.reload();
  await signInPage(phone.page).waitFor();
  expect(renewals).toBe(0);
  await bob.go(name);
  await bob.say('still signed in');
  await bob.seesStatus('still signed in', 'sent');
});

/** An issuer at the server's own address, with single-use refresh tokens: reuse ends the session. */
async function issuer(context: BrowserContext, name: string) {
  const made = { refreshes: 0, isOver: false };
  let valid = '0';
  const authority = `${stage.url}/issuer`;
  await context.route('**/client.json', (route) => route.fulfill({ json: { devSignIn: true, oidc: { authority, clientId: 'chat', scope: 'openid' } } }));
  await context.route('**/issuer/**', async (route) => {
    if (!route.request().url().endsWith('/token'))
      return route.fulfill({ json: { issuer: authority, token_endpoint: `${authority}/token`, authorization_endpoint: `${authority}/authorize` } });
    made.refreshes++;
    const presented = new URLSearchParams(route.request().postData() ?? '').get('refresh_token');
    if (presented !== valid) made.isOver = true;
    if (made.isOver) return route.fulfill({ status: 400, json: { error: 'invalid_grant' } });
    valid = `${made.refreshes}`;
    const answer = await fetch(`${stage.url}/dev/token`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ username: name }) });
    const { token } = (await answer.json()) as { token: string };
    return route.fulfill({ json: { access_token: token, token_type: 'bearer', expires_in: 3600, refresh_token: valid } });
  });
  return made;
}

/** A session, as an earlier version stored it, whose token is to be refreshed at once in each window. */
async function worn(keep: boolean) {
  const name = uniqueName('worn');
  const token = await stage.token(name);
  const first = await stage.open();
  await signInPage(first).waitFor();
  const context = first.context();
  const at = await issuer(context, name);
  const session = JSON.stringify({ id: 'worn', token, refreshToken: '0', keep, receivedAt: 1 });
  await first.evaluate(([key, text]) => localStorage.setItem(key!, text!), ['chat.session', session]);
  return { at, context, first };
}

test('windows that need a new token at the same time refresh once', async () => {
  const { at, context } = await worn(true);
  const pages = await Promise.all([stage.openIn(context), stage.openIn(context), stage.openIn(context)]);
  await Promise.all(pages.map(isOnline));
  await eventually(() => pages[0]!.evaluate(() => localStorage.getItem('chat.session')?.includes('"refreshToken":"1"'))).toBe(true);
  for (const page of pages) {
    await page.reload();
    await isOnline(page);
  }
  expect(at).toEqual({ refreshes: 1, isOver: false });
});

test('a session that the issuer has ended asks to sign in, also after a reload', async () => {
  const { at, context } = await worn(true);
  at.isOver = true;
  const page = await stage.openIn(context);
  await signInPage(page).waitFor();
  expect(await page.getByRole('alert').count()).toBe(1);
  await page.reload();
  await signInPage(page).waitFor();
});

test('a token refresh that completes after a sign-out does not undo it', async () => {
  const { context, first } = await worn(true);
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await context.route('**/issuer/token', async (route) => {
    await held;
    await route.fallback();
  });
  const page = await stage.openIn(context);
  await isOnline(page);
  // In the first window, which waits for the same refresh.
  await first.reload();
  await signOut(first);
  release();
  await signInPage(page).waitFor();
  await page.reload();
  await signInPage(page).waitFor();
  expect(await page.evaluate(() => localStorage.getItem('chat.session'))).toBeNull();
});

test('chatting works without storage, with a hanging IndexedDB, over plain http', async () => {
  const bob = await stage.enter(uniqueName('bob'));
  const page = await stage.open();
  await page.addInitScript(() => {
    for (const area of ['localStorage', 'sessionStorage'])
      Object.defineProperty(window, area, {
        get() {
          throw new DOMException('denied', 'SecurityError');
        },
      });
    indexedDB.open = () => Object.create(IDBOpenDBRequest.prototype) as IDBOpenDBRequest;
    // Missing in pages that were not loaded over https.
    Object.defineProperty(Crypto.prototype, 'randomUUID', { value: undefined });
    Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined });
    Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });
  });
  await page.reload();
  const name = uniqueName('alice');
  await signIn(page, name);
  const alice = new Person(stage, page, name);
  await alice.startWith(bob.name);
  await alice.say('hello');
  await alice.seesStatus('hello', 'delivered');
});
