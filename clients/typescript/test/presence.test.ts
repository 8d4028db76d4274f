import { expect, test } from 'vitest';
import { reduce } from '../src/reducer.js';
import { initialState, type ChatState } from '../src/state.js';
import type { StatusBulk } from '../src/wire.js';
import { signIn } from './serverModel.js';

const told = (state: ChatState, payload: StatusBulk): ChatState => reduce(state, { type: 'event', event: { type: 'status.bulk', payload }, now: 0 });
const user = (userId: string, online = true) => ({ userId, online });

test('the parts of a status.bulk add up, and the next status.bulk replaces them', () => {
  let state = told(signIn(initialState), { users: [user('a'), user('b')], more: true });
  state = told(state, { users: [user('c', false)] });
  expect(Object.keys(state.presence)).toEqual(['a', 'b', 'c']);

  state = told(state, { users: [user('d')] });
  expect(Object.keys(state.presence)).toEqual(['d']);
});

test('a status.bulk that was cut off does not leak into the next connection', () => {
  const cut = told(signIn(initialState), { users: [user('a')], more: true });
  expect(Object.keys(told(signIn(cut), { users: [user('b')] }).presence)).toEqual(['b']);
});
