import { expect, test } from 'vitest';
import { payloads } from './payloads.ts';
import { Person, soon, unique, useBrowser } from './people.ts';

const stage = useBrowser();

/** What text must never become. */
const census = (person: Person) =>
  person.page.evaluate(() => ({
    pwned: 'pwned' in window,
    elements: document.querySelectorAll('script:not([src^="/assets/"]), img, iframe, object, embed, base, form[action], video, audio, style, math, template, marquee, [onclick], [onerror], [onload]').length,
    // Our own are /, /c/… alone.
    links: [...document.querySelectorAll('a')].filter((link) => !/^\/(c\/[0-9a-f-]+)?$/.test(link.getAttribute('href') ?? '')).length,
    title: document.title.replace(/^\(\d+\) /, ''),
  }));
const harmless = { pwned: false, elements: 0, links: 0, title: 'Chat' };

test('two hundred hostile messages are text, and nothing else', async () => {
  const { alice, bob, path } = await stage.pair();
  const address = `/chat/conversations/${path.slice(3)}/messages`;
  for (const content of payloads) await stage.api(alice.name, 'POST', address, { content });

  const seen = new Map<number, string>();
  await bob.page.reload();
  await bob.page.locator('.row .text').first().waitFor();
  // From the end to the beginning, a view at a time.
  await soon(async () => {
    const rows = await bob.page.locator('.row[data-seq]').evaluateAll((all) => all.map((row) => [Number((row as HTMLElement).dataset.seq), row.querySelector('.text')!.textContent] as const));
    for (const [seq, text] of rows) seen.set(seq, text);
    await bob.scroller.evaluate((element) => element.scrollBy(0, -element.clientHeight * 0.8));
    return seen.size;
  }).toBe(payloads.length);

  expect([...seen].toSorted(([a], [b]) => a - b).map(([, text]) => text)).toEqual(payloads.map((text) => text.trim()));
  expect(await census(bob)).toEqual(harmless);
});

test('two hundred hostile names are text, and nothing else', async () => {
  const victim = await stage.enter(unique('victim'));
  // A name of Development's has at most 64 characters, and is somebody's for good.
  const names = payloads.map((payload, index) => [...`${index}${unique('')} ${payload}`].slice(0, 64).join('').trim());
  for (const name of names) {
    const { id } = await stage.api<{ id: string }>(name, 'POST', '/chat/conversations', { username: victim.name });
    await stage.api(name, 'POST', `/chat/conversations/${id}/messages`, { content: name });
  }

  await victim.page.reload();
  await soon(() => victim.page.locator('.conversation .name').count()).toBe(names.length);
  expect((await victim.page.locator('.conversation .name').allTextContents()).toSorted()).toEqual(names.toSorted());

  // As the head of a conversation, in its menu and its notice.
  for (const index of [0, 7, 60, 111, 199]) {
    const link = victim.page.locator('.conversation').nth(index);
    const name = await link.locator('.name').textContent();
    await link.click();
    await soon(() => victim.page.locator('h1 bdi').textContent()).toBe(name);
    await victim.page.locator('section').getByRole('button', { name: 'More' }).click();
    await victim.page.getByRole('menuitem').click();
    await victim.page.locator('.notice').waitFor();
    expect(await victim.page.locator('.notice').textContent()).toContain(name);
  }
  expect(await census(victim)).toEqual(harmless);
});
