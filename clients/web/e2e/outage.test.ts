import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, useBrowserStage } from './people.ts';
import { startServer, type TestServer } from './server.ts';

const stage = useBrowserStage();
let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  stage.url = server.url;
});
afterAll(() => server.end());

test('messages written while the server is down arrive once and in order', async () => {
  const { alice, bob } = await stage.pair();
  await alice.say('before');
  await bob.sees('before');

  await server.kill();
  await alice.banner.getByText('The server cannot be reached.', { exact: false }).waitFor();
  const meanwhile = ['one', 'two', 'three'];
  for (const text of meanwhile) {
    await alice.say(text);
    await alice.seesStatus(text, 'sending');
  }

  await server.start();
  await alice.seesStatus('three', 'read');
  expect(await alice.banner.count()).toBe(0);
  expect(await bob.texts()).toEqual(['before', ...meanwhile]);
  expect(await alice.texts()).toEqual(['before', ...meanwhile]);
  await bob.say('after');
  await alice.sees('after');
  await alice.page.reload();
  await alice.sees('after');
  expect(await alice.texts()).toEqual(['before', ...meanwhile, 'after']);
});

test('being offline is shown, and messages are sent when the network is back', async () => {
  const { alice, bob } = await stage.pair();

  await alice.page.context().setOffline(true);
  await alice.banner.getByText('You are offline.', { exact: false }).waitFor();
  await alice.say('written in a tunnel');
  await alice.seesStatus('written in a tunnel', 'sending');
  expect(await bob.texts()).toEqual([]);

  await alice.page.context().setOffline(false);
  await bob.sees('written in a tunnel');
  await alice.seesStatus('written in a tunnel', 'read');
  await eventually(() => alice.banner.count()).toBe(0);
  expect(await bob.texts()).toEqual(['written in a tunnel']);
});

test('messages left unsent by a closed page are sent when it is reopened', async () => {
  const { alice, bob, path } = await stage.pair();
  await alice.page.context().setOffline(true);
  await alice.banner.waitFor();
  await alice.say('from before the reload');
  await alice.seesStatus('from before the reload', 'sending');

  // The window is closed, and another one of the same browser is opened, with the sign-in remembered.
  await alice.page.evaluate(() => localStorage.setItem('chat.session', sessionStorage.getItem('chat.session')!));
  await alice.page.close();
  await alice.page.context().setOffline(false).catch(() => undefined);
  const page = await stage.openIn(alice.page.context(), path);
  await page.locator('.row').getByText('from before the reload').waitFor();

  await bob.sees('from before the reload');
  expect(await bob.texts()).toEqual(['from before the reload']);
});
