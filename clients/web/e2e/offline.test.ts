import { afterAll, beforeAll, expect, test } from 'vitest';
import { soon, useBrowser, type Person } from './people.ts';
import { startServer, type Server } from './server.ts';

/** What the service worker is for: the page opens while the server is away. */

const stage = useBrowser();
let server: Server;

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

test('the page opens without the server, in its own language, and what one writes goes out later', async () => {
  const { alice: bob, path } = await stage.pair();
  const name = bob.name;
  const german = await stage.openIn(await bob.page.context().browser()!.newContext({ locale: 'de' }));
  await german.getByLabel('Benutzername').waitFor();
  await soon(() => german.evaluate(async () => (await (await caches.open('chat-page')).keys()).some(({ url }) => url.includes('/assets/de-')))).toBe(true);
  await soon(() => kept(bob)).toContain('/');

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
  await bob.seesMark('back again', 'sent');
  expect(name).toBe(bob.name);
});

test('the worker keeps the page and what it is made of, and nothing that anybody wrote', async () => {
  const { alice, bob } = await stage.pair();
  await alice.say('not for keeping');
  await bob.sees('not for keeping');
  await alice.page.reload();
  await alice.sees('not for keeping');
  await soon(() => kept(alice)).toContain('/');
  expect((await kept(alice)).filter((address) => address !== '/' && !address.startsWith('/assets/'))).toEqual([]);
  // Whatever is asked for and is not the page is the server's to answer.
  expect(await alice.page.evaluate(async () => (await fetch('/health/ready')).status)).toBe(200);
  expect(await alice.page.evaluate(async () => (await (await fetch('/manifest.webmanifest')).json()).icons.length)).toBe(3);
});
