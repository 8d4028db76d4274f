import { expect, test } from 'vitest';
import { eventually, uniqueName, useBrowserStage } from './people.ts';

const stage = useBrowserStage();

test('Alt and the arrow keys switch conversations, with Shift to the next unread one', async () => {
  const name = uniqueName('alice');
  const others = [uniqueName('one'), uniqueName('two'), uniqueName('three')];
  await stage.token(name);
  for (const other of others) {
    const { id } = await stage.api<{ id: string }>(other, 'POST', '/chat/conversations', { username: name });
    await stage.api(other, 'POST', `/chat/conversations/${id}/messages`, { content: 'hello' });
    // The list is ordered by the latest message; only the first one stays unread.
    if (other !== others[0]) await stage.api(name, 'POST', `/chat/conversations/${id}/read`, {});
  }
  const alice = await stage.enter(name);
  await alice.line(others[2]!).click();
  const open = () => alice.page.locator('section h1').textContent();
  await eventually(open).toBe(others[2]);
  await alice.page.keyboard.press('Alt+ArrowDown');
  await eventually(open).toBe(others[1]);
  await alice.page.keyboard.press('Alt+ArrowUp');
  await eventually(open).toBe(others[2]);
  await alice.page.keyboard.press('Alt+Shift+ArrowDown');
  await eventually(open).toBe(others[0]);
  await alice.page.keyboard.press('Alt+ArrowDown');
  await eventually(open).toBe(others[2]);
  expect(await alice.composer.inputValue()).toBe('');
});
