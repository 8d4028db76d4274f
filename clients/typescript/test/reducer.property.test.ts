import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { conversationsWithGaps, reduce } from '../src/reducer.js';
import { initialState, type ChatState } from '../src/state.js';
import type { ServerEvent } from '../src/wire.js';
import { apply, essence, fresh, loadAll, reconnect, signIn, syncAll, tell, ServerModel, type Step } from './serverModel.js';

const runs = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 300) };

const kinds = ['mine', 'theirs', 'iRead', 'theyRead', 'iReceive', 'theyReceive'] as const;
const deed = (what: readonly Step['what'][]): fc.Arbitrary<Step> =>
  fc.record({ where: fc.nat(2), what: fc.constantFrom(...what), howFar: fc.nat(50) });
const story = fc.array(deed(kinds), { maxLength: 40 });
const storyWithChanges = fc.array(deed([...kinds, 'change']), { maxLength: 40 });

/** How often the network delivers an event, and how late. */
const fate = fc.record({ times: fc.constantFrom(0, 1, 1, 1, 2, 3), delay: fc.nat(12) });

/** Delivers events according to their fates: some never, some twice, some late. */
function shuffled(events: readonly ServerEvent[], fates: readonly { times: number; delay: number }[]): ServerEvent[] {
  return events
    .flatMap((event, at) => {
      const { times, delay } = fates[at % fates.length]!;
      return Array.from({ length: times }, (_, copy) => ({ event, at: at + delay * (copy + 1) }));
    })
    .sort((a, b) => a.at - b.at)
    .map(({ event }) => event);
}

/** Actions of the client in between. */
const chore = fc.constantFrom('list', 'staleList', 'history', 'staleHistory', 'sync', 'reconnect');
const chores = fc.array(fc.record({ at: fc.nat(60), what: chore, size: fc.integer({ min: 1, max: 5 }) }), { maxLength: 8 });

describe('events in any order, repeated or lost', () => {
  test('the state after a reconnect equals that of a fresh load', () => {
    fc.assert(
      fc.property(story, fc.array(fate, { minLength: 1, maxLength: 60 }), chores, fc.integer({ min: 1, max: 5 }), (deeds, fates, plan, limit) => {
        const world = new ServerModel();
        let state = signIn(initialState);
        const answers: (() => void)[] = [];
        const told = deeds.map((deed, at) => {
          const events = world.happen(deed);
          // Some answers are generated now, and arrive after everything else.
          for (const { what, size } of plan.filter((own) => own.at % deeds.length === at)) {
            const list = world.list();
            if (what === 'staleList') answers.push(() => (state = apply(state, { type: 'listed', conversations: list, isLast: true, since: 0 })));
            if (what === 'staleHistory')
              for (const { id, seq } of list) {
                // Nobody requests messages before a number that does not exist yet.
                const before = Math.min(size * 3, seq) + 1;
                const page = world.page(id, before, size);
                answers.push(() => (state = apply(state, { type: 'history', conversationId: id, before, page })));
              }
          }

          return events;
        });

        const arriving = shuffled(told.flat(), fates);
        arriving.forEach((event, at) => {
          state = tell(state, [event]);
          for (const { what, size } of plan.filter((own) => own.at % arriving.length === at)) {
            if (what === 'list') state = apply(state, { type: 'listed', conversations: world.list(), isLast: true, since: state.clock });
            if (what === 'history') state = loadAll(state, world, size);
            if (what === 'sync' && state.listed) state = syncAll(state, world, size);
            if (what === 'reconnect') state = reconnect(state, world, size);
          }
        });
        for (const answer of answers) answer();

        state = loadAll(reconnect(state, world, limit), world, limit);
        expect(essence(state)).toEqual(essence(fresh(world)));
      }),
      runs,
    );
  });

  test('gaps are detected by number alone, and a sync fills them', () => {
    fc.assert(
      fc.property(story, story, fc.array(fate, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (before, after, fates, limit) => {
        const world = new ServerModel();
        for (const deed of before) world.happen(deed);
        let state = loadAll(reconnect(initialState, world, 100), world, 100);
        state = tell(state, shuffled(after.flatMap((deed) => world.happen(deed)), fates));
        // Without a new connection: a sync happens only if a gap is detected.
        if (conversationsWithGaps(state).length > 0) state = syncAll(state, world, limit);
        for (const { seq, messages, loadedFrom } of Object.values(state.conversations)) {
          const known = messages.map((message) => message.seq);
          // A conversation that was opened meanwhile may still have history to load.
          expect(known).toEqual(Array.from({ length: seq - loadedFrom + 1 }, (_, index) => loadedFrom + index));
        }
      }),
      runs,
    );
  });

  test('changed messages end up in their latest state', () => {
    fc.assert(
      fc.property(storyWithChanges, storyWithChanges, fc.array(fate, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (before, after, fates, limit) => {
        const world = new ServerModel();
        for (const deed of before) world.happen(deed);
        let state = loadAll(reconnect(initialState, world, 100), world, 100);
        state = tell(state, shuffled(after.flatMap((deed) => world.happen(deed)), fates));
        state = loadAll(reconnect(state, world, limit), world, limit);
        expect(essence(state)).toEqual(essence(fresh(world)));
      }),
      runs,
    );
  });

  test('events are idempotent', () => {
    fc.assert(
      fc.property(story, (deeds) => {
        const world = new ServerModel();
        const state = reconnect(initialState, world, 100);
        const events = deeds.flatMap((deed) => world.happen(deed)).filter(({ type }) => !['notification.unread', 'message.read_ack'].includes(type));
        const listed = apply(state, { type: 'listed', conversations: world.list(), isLast: true, since: 0 });
        const once = tell(listed, events);
        const twice = tell(once, events);
        expect(twice.conversations).toEqual(once.conversations);
        // And what has not changed keeps its identity, so that nothing renders again.
        for (const [id, conversation] of Object.entries(twice.conversations)) expect(conversation).toBe(once.conversations[id]);
      }),
      runs,
    );
  });

  test('an event changes its own conversation only', () => {
    fc.assert(
      fc.property(story, deed(kinds), (deeds, last) => {
        const world = new ServerModel();
        for (const earlier of deeds) world.happen(earlier);
        const before = loadAll(reconnect(initialState, world, 100), world, 100);
        const after: ChatState = tell(before, world.happen(last));
        for (const [id, conversation] of Object.entries(before.conversations)) {
          if (id === `room-${last.where}`) {
            const kept = new Map(after.conversations[id]!.messages.map((message) => [message.id, message]));
            for (const message of conversation.messages) expect(kept.get(message.id)).toBe(message);
          } else {
            expect(after.conversations[id]).toBe(conversation);
          }
        }

        expect(after.presence).toBe(before.presence);
        expect(after.outbox).toBe(before.outbox);
      }),
      runs,
    );
  });

  test('the state is immutable', () => {
    const freeze = (value: unknown): void => {
      if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
      Object.freeze(value);
      Object.values(value).forEach(freeze);
    };
    fc.assert(
      fc.property(story, fc.array(fate, { minLength: 1, maxLength: 60 }), (deeds, fates) => {
        const world = new ServerModel();
        let state = signIn(initialState);
        for (const event of shuffled(deeds.flatMap((one) => world.happen(one)), fates)) {
          freeze(state);
          freeze(event);
          state = reduce(state, { type: 'event', event, now: 0 });
        }

        freeze(state);
        reconnect(state, world, 2);
      }),
      runs,
    );
  });
});
