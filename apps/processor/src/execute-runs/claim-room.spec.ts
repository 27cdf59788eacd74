import type { Room } from '#libs/openai-gateway';
import { claimRoom, freeSlots, guestSlotsOf } from './claim-room.js';

const run = (tenant: string, model = 'gpt-5.2') => ({ tenant, model });
const pool = { account: 'default', models: ['gpt-5.2', 'gpt-5.2-mini'], heldForMs: 0 };
const open = { ...pool, calls: 5, runs: 8 };

describe('the room of a claim', () => {
  it('is as many runs as can call soon, less those whose calls are still to come', () => {
    const room = (inHand: number) =>
      claimRoom(Array(inHand).fill(run('a')), false, [open]).runsByModel.get('gpt-5.2-mini');
    expect([room(0), room(3), room(6), room(8), room(20)]).toEqual([5, 5, 2, 0, 0]);
  });

  it('is none at all while OpenAI may not be called, and has no end where there is no limit', () => {
    const held = { ...open, heldForMs: 1 };
    const endless = { ...pool, models: ['o9'], calls: Infinity, runs: Infinity };
    expect([...claimRoom([], false, [held, endless]).runsByModel]).toEqual([
      ['gpt-5.2', -1],
      ['gpt-5.2-mini', -1],
    ]);
  });

  it('is that of the tier with the most of it, where a model has several: a run may be for any of them', () => {
    const [held, endless] = [
      { ...open, heldForMs: 1 },
      { ...open, calls: Infinity, runs: Infinity },
    ];
    const roomOf = (...rooms: Room[]) => claimRoom([], false, rooms).runsByModel.get('gpt-5.2');
    expect([roomOf(held, open), roomOf(open, held), roomOf(held, held)]).toEqual([5, 5, -1]);
    expect([roomOf(endless, open), roomOf(open, endless)]).toEqual([undefined, undefined]);
  });

  it('tells whose runs are in hand', () => {
    const { tenantsInHand } = claimRoom([run('a'), run('b'), run('a')], true, []);
    expect(tenantsInHand).toEqual(['a', 'b']);
  });
});

describe('slots', () => {
  it.each([
    [32, 0, 32, false],
    [32, 31, 1, false],
    [32, 32, 4, true],
    [32, 35, 1, true],
    [32, 36, 0, true],
    [1, 1, 1, true],
    [1, 2, 0, true],
  ])('of %i with %i in hand are %i, for guests only: %s', (slots, inHand, free, guestsOnly) => {
    expect(freeSlots(slots, inHand)).toEqual({ free, guestsOnly });
  });

  it('for guests are an eighth as many', () => {
    expect([1, 8, 9, 32].map(guestSlotsOf)).toEqual([1, 1, 2, 4]);
  });
});
