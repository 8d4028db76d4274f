import { expect, test } from 'vitest';
import { soon, unique, useBrowser } from './people.ts';

const stage = useBrowser();

test('Alt and the arrows go from conversation to conversation, with Shift to the next unread', async () => {
  const name = unique('alice');
  const others = [unique('one'), unique('two'), unique('three')];
  await stage.token(name);
  for (const other of others) {
    const { id } = await stage.api<{ id: string }>(other, 'POST', '/chat/conversations', { username: name });
    await stage.api(other, 'POST', `/chat/conversations/${id}/messages`, { content: 'hello' });
    // The list is in the order of the latest message; only the first stays unread.
    if (other !== others[0]) await stage.api(name, 'POST', `/chat/conversations/${id}/read`, {});
  }
  const alice = await stage.enter(name);
  await alice.line(others[2]!).click();
  const open = () => alice.page.locator('section h1').textContent();
  await soon(open).toBe(others[2]);
  await alice.page.keyboard.press('Alt+ArrowDown');
  await soon(open).toBe(others[1]);
  await alice.page.keyboard.press('Alt+ArrowUp');
  await soon(open).toBe(others[2]);
  await alice.page.keyboard.press('Alt+Shift+ArrowDown');
  await soon(open).toBe(others[0]);
  await alice.page.keyboard.press('Alt+ArrowDown');
  await soon(open).toBe(others[2]);
  expect(await alice.composer.inputValue()).toBe('');
});
