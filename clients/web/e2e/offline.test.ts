import { afterAll, beforeAll, expect, test } from 'vitest';
import { Person, signIn, eventually, useBrowserStage } from './people.ts';
import { startServer, type TestServer } from './server.ts';

/** The service worker: the page opens while the server is down. */

const stage = useBrowserStage();
let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  stage.url = server.url;
});
afterAll(() => server.end());

const kept = ({ page }: Person) =>
  page.evaluate(async () => {
    const cache = await caches.open('chat-page');
    return (await cache.keys()).map(({ url }) => new URL(url).pathname);
  });

test('the page opens offline, in its language, and messages are sent later', async () => {
  const { alice: bob, path } = await stage.pair();
  const name = bob.name;
  const german = await stage.openIn(await bob.page.context().browser()!.newContext({ locale: 'de' }));
  await german.getByLabel('Benutzername').waitFor();
  await eventually(() => german.evaluate(async () => (await (await caches.open('chat-page')).keys()).some(({ url }) => url.includes('/assets/de-')))).toBe(true);
  await eventually(() => kept(bob)).toContain('/');

  await server.kill();
  await german.reload();
  await german.getByText('Chat').first().waitFor();
  expect(await german.evaluate(() => document.documentElement.lang)).toBe('de');
  await german.context().close();
  await bob.page.reload();
  await bob.banner.waitFor();
  expect(new URL(bob.page.url()).pathname).toBe(path);

  await server.start();
  await bob.composer.waitFor();
  await bob.say('back again');
  await bob.seesStatus('back again', 'sent');
  expect(name).toBe(bob.name);
});

/** Everything that the browser has stored in IndexedDB, as text. */
const stored = ({ page }: Person) =>
  page.evaluate(async () => {
    const found: unknown[] = [];
    for (const { name } of await indexedDB.databases())
      await new Promise<void>((resolve, reject) => {
        const opening = indexedDB.open(name!);
        opening.onerror = () => reject(opening.error!);
        opening.onsuccess = () => {
          const database = opening.result;
          const stores = [...database.objectStoreNames];
          if (stores.length === 0) return resolve(database.close());
          const all = database.transaction(stores).objectStore(stores[0]!).getAll();
          all.onsuccess = () => {
            found.push(...(all.result as unknown[]));
            resolve(database.close());
          };
        };
      });
    return JSON.stringify(found);
  });

test('the latest conversations are readable offline if the sign-in is remembered, and removed by a sign-out', async () => {
  const { alice: bob, bob: peer, path } = await stage.pair();
  await bob.page.context().close();
  const page = await stage.open(path);
  await page.getByLabel('Keep me signed in on this device').check();
  await signIn(page, bob.name);
  const alice = new Person(stage, page, bob.name);
  await peer.say('the last word');
  await alice.sees('the last word');
  await alice.say('and mine');
  await peer.sees('and mine');
  await eventually(() => kept(alice)).toContain('/');
  await eventually(() => stored(alice)).toContain('and mine');

  await server.kill();
  await page.reload();
  await alice.sees('the last word');
  expect(await alice.texts()).toEqual(['the last word', 'and mine']);
  await alice.line(peer.name).getByText('and mine').waitFor();
  await alice.say('from a tunnel');
  await alice.seesStatus('from a tunnel', 'sending');
  // At the start page, which loads none of it.
  await page.goto(`${stage.url}/`);
  await alice.line(peer.name).waitFor();
  await alice.go(peer.name);
  await alice.sees('the last word');

  await server.start();
  await alice.seesStatus('from a tunnel', 'read');
  expect(await alice.texts()).toEqual(['the last word', 'and mine', 'from a tunnel']);
  await eventually(() => stored(alice)).toContain('from a tunnel');
  await page.getByRole('button', { name: 'Your menu' }).click();
  await page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
  await page.getByLabel('Username').waitFor();
  expect(await stored(alice)).not.toContain('the last word');
});

test('without a remembered sign-in no message is stored on the device', async () => {
  const { alice, bob } = await stage.pair();
  await alice.say('for nobody else');
  await bob.sees('for nobody else');
  // The cache is written after a second; unsent messages are stored at once, and removed when sent.
  await alice.page.clock.install();
  await alice.page.reload();
  await alice.sees('for nobody else');
  await alice.page.clock.runFor(5_000);
  expect(await stored(alice)).not.toContain('for nobody else');
});

test('the service worker caches the page and its assets, and no messages', async () => {
  const { alice, bob } = await stage.pair();
  await alice.say('not for keeping');
  await bob.sees('not for keeping');
  await alice.page.reload();
  await alice.sees('not for keeping');
  await eventually(() => kept(alice)).toContain('/');
  expect((await kept(alice)).filter((address) => address !== '/' && !address.startsWith('/assets/'))).toEqual([]);
  // Requests for anything but the page go to the server.
  expect(await alice.page.evaluate(async () => (await fetch('/health/ready')).status)).toBe(200);
  expect(await alice.page.evaluate(async () => (await (await fetch('/manifest.webmanifest')).json()).icons.length)).toBe(3);
});
