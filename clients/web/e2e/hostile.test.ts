import { expect, test } from 'vitest';
import { payloads } from './payloads.ts';
import { fill, Person, eventually, uniqueName, useBrowserStage } from './people.ts';

const stage = useBrowserStage();
/** How many users write concurrently. */
const together = 20;

/** Counts what text must never become. */
const census = (person: Person) =>
  person.page.evaluate(() => ({
    pwned: 'pwned' in window,
    elements: document.querySelectorAll('script:not([src^="/assets/"]), img, iframe, object, embed, base, form[action], video, audio, style, math, template, marquee, [onclick], [onerror], [onload]').length,
    // The page's own links are / and /c/…; those in messages have a safe target and no referrer.
    links: [...document.querySelectorAll('a')].filter(
      (link) =>
        !/^\/(c\/[0-9a-f-]+)?$/.test(link.getAttribute('href') ?? '') &&
        !(/^(https?:\/\/|mailto:)/.test(link.href) && link.className === 'address' && link.rel === 'noopener noreferrer nofollow' && link.target === '_blank'),
    ).length,
    title: /^(.* · )?Chat$/.test(document.title.replace(/^\(\d+\) /, '')),
  }));
const harmless = { pwned: false, elements: 0, links: 0, title: true };

test('two hundred hostile messages are rendered as text', async () => {
  const { alice, bob, path } = await stage.pair();
  await fill(stage, alice.name, path.slice(3), payloads);

  const seen = new Map<number, string>();
  await bob.page.reload();
  await bob.page.locator('.row .text').first().waitFor();
  // The page opens at the first unread message. Scrolling at once must not be overridden.
  await bob.scroller.hover();
  await eventually(async () => {
    await bob.page.mouse.wheel(0, 100_000);
    return bob.page.locator(`.row[data-seq="${payloads.length}"]`).count();
  }).toBe(1);
  // Up to the beginning, one viewport at a time.
  const step = await bob.scroller.evaluate((element) => element.clientHeight * 0.8);
  await eventually(async () => {
    const rows = await bob.page.locator('.row[data-seq]').evaluateAll((all) => all.map((row) => [Number((row as HTMLElement).dataset.seq), row.querySelector('.text')!.textContent] as const));
    for (const [seq, text] of rows) seen.set(seq, text);
    await bob.page.mouse.wheel(0, -step);
    return seen.size;
  }).toBe(payloads.length);

  expect([...seen].toSorted(([a], [b]) => a - b).map(([, text]) => text)).toEqual(payloads.map((text) => text.trim()));
  expect(await census(bob)).toEqual(harmless);
});

test('two hundred hostile names are rendered as text', async () => {
  const victim = await stage.enter(uniqueName('victim'));
  // A dev username has at most 64 characters, and belongs to one user for good.
  const names = payloads.map((payload, index) => [...`${index}${uniqueName('')} ${payload}`].slice(0, 64).join('').trim());
  // The server normalizes names (NFKC), and rejects bidi controls, line breaks and mixed scripts. Other servers may not.
  const refused = new Map<string, string>();
  const shown: string[] = [];
  const writeAs = async (name: string) => {
    const isTaken = await stage.token(name).then(() => true, () => false);
    const caller = isTaken ? name : uniqueName('nameless');
    const { id } = await stage.api<{ id: string }>(caller, 'POST', '/chat/conversations', { username: victim.name });
    await stage.api(caller, 'POST', `/chat/conversations/${id}/messages`, { content: name });
    if (!isTaken) refused.set(id, name);
    shown.push(isTaken ? name.normalize('NFKC') : name);
  };
  for (let at = 0; at < names.length; at += together) await Promise.all(names.slice(at, at + together).map(writeAs));

  await victim.page.route('**/chat/conversations?*', async (route) => {
    const answer = await route.fetch();
    const list = (await answer.json()) as { conversations: { id: string; members: { name?: string; username?: string }[] }[] };
    for (const { id, members } of list.conversations) {
      const name = refused.get(id);
      const member = members.find(({ username }) => username !== victim.name);
      if (name !== undefined && member !== undefined) member.name = name;
    }
    await route.fulfill({ response: answer, json: list });
  });
  await victim.page.reload();
  await eventually(() => victim.page.locator('.conversation .name').count()).toBe(names.length);
  expect((await victim.page.locator('.conversation .name').allTextContents()).toSorted()).toEqual(shown.toSorted());
  expect(refused.size).toBeGreaterThan(0);

  // In the header of a conversation, its menu and its notice.
  for (const index of [0, 7, 60, 111, 199]) {
    const link = victim.page.locator('.conversation').nth(index);
    const name = await link.locator('.name').textContent();
    await link.click();
    await eventually(() => victim.page.locator('h1 bdi').textContent()).toBe(name);
    await victim.changeBlock();
    await victim.page.locator('.notice').waitFor();
    // A reload of the conversation, as after a reconnect, restores the name on the server.
    expect(await victim.page.locator('.notice').textContent()).toContain(await victim.page.locator('h1 bdi').textContent());
  }
  expect(await census(victim)).toEqual(harmless);
});
