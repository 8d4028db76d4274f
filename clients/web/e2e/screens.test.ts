import { mkdirSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { soon, useBrowser } from './people.ts';

/** Pictures of the main states, to look at: test-results/screens. Those in docs/screenshots are chosen from them. */

const stage = useBrowser();
const folder = fileURLToPath(new URL('../../test-results/screens/', import.meta.url));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const looks = (['light', 'dark'] as const).flatMap((colorScheme) => (['desktop', 'phone'] as const).map((size) => ({ colorScheme, size })));

describe.each(looks)('$colorScheme, $size', ({ colorScheme, size }) => {
  const options: BrowserContextOptions = { colorScheme, viewport: sizes[size], ...(size === 'phone' && { isMobile: true, hasTouch: true }) };

  async function shoot(page: Page, state: string): Promise<void> {
    const path = `${folder}${state}-${colorScheme}-${size}.png`;
    // The caret blinks, and the pointer may lie on something.
    await page.screenshot({ path, caret: 'hide', animations: 'disabled' });
    expect(statSync(path).size).toBeGreaterThan(2_000);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window').toBe(true);
  }

  test('the main states', async () => {
    // Each look has people of its own, since a name is somebody's for good.
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
    await me.seesMark('Shall we go and have a look on Saturday?', 'read');
    await shoot(me.page, 'conversation');

    await maya.composer.pressSequentially('Yes');
    await me.page.getByRole('img', { name: `${names.maya} is typing` }).waitFor();
    await shoot(me.page, 'typing');
    await maya.composer.fill('');
    await me.page.getByRole('img', { name: `${names.maya} is typing` }).waitFor({ state: 'detached' });

    await me.page.context().setOffline(true);
    await me.banner.waitFor();
    await me.say('I am in the tunnel');
    await me.seesMark('I am in the tunnel', 'sending');
    await shoot(me.page, 'offline');
    await me.page.context().setOffline(false);
    await me.seesMark('I am in the tunnel', 'read');
    await soon(() => me.banner.count()).toBe(0);

    await maya.page.locator('section').getByRole('button', { name: 'More' }).click();
    await maya.page.getByRole('menuitem').click();
    await maya.page.locator('.notice').waitFor();
    await me.say('Are you there?');
    await me.seesMark('Are you there?', 'failed');
    await shoot(me.page, 'failed');
    await maya.page.getByRole('button', { name: 'Unblock' }).click();

    await me.message('Are you there?').getByRole('button', { name: 'Discard' }).click();
    await me.page.locator('section').getByRole('button', { name: 'More' }).click();
    await shoot(me.page, 'menu');
    await me.page.getByRole('menuitem').click();
    await me.page.locator('.notice').waitFor();
    await shoot(me.page, 'blocked');
  });
});
