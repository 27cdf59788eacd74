import fc from 'fast-check';
import type { Acceptance } from './accept-runs.store.js';
import { COUNT_HOLDS_MS, UnfinishedRuns } from './unfinished-runs.js';

const accepted = { kind: 'accepted' } as Acceptance;
const keyTaken = { kind: 'key_taken' } as Acceptance;

/** Stands in for the read model: runs by tenant, and a count that takes as long as is wanted. */
class Stored {
  readonly runs = new Map<string, number>();
  counts = 0;
  held: Promise<void> = Promise.resolve();

  of(tenant: string): number {
    return this.runs.get(tenant) ?? 0;
  }
  add(tenant: string, runs = 1): void {
    this.runs.set(tenant, this.of(tenant) + runs);
  }
  async count(tenant: string, limit: number): Promise<number> {
    this.counts += 1;
    const seen = Math.min(this.of(tenant), limit);
    await this.held;
    return seen;
  }
}

function gate(limit: number) {
  const stored = new Stored();
  const clock = { ms: 0 };
  const unfinished = new UnfinishedRuns(stored, limit, () => clock.ms);
  const submit = (tenant = 'a', outcome = accepted) =>
    unfinished.place(tenant, async () => {
      await Promise.resolve();
      if (outcome.kind === 'accepted') stored.add(tenant);
      return outcome;
    });
  return { stored, clock, unfinished, submit };
}
const kinds = (placed: readonly { kind: string }[]) => placed.map(({ kind }) => kind);

it('accepts up to the limit, however many come at once, by one count', async () => {
  const { stored, submit } = gate(10);
  const placed = await Promise.all(Array.from({ length: 50 }, () => submit()));
  expect(kinds(placed).filter((kind) => kind === 'accepted')).toHaveLength(10);
  expect(stored.of('a')).toBe(10);
  expect(stored.counts).toBe(1);
});

it('looks again after a while, and not before', async () => {
  const { stored, clock, submit } = gate(1);
  await submit();
  stored.add('a', -1); // the run is done
  clock.ms = COUNT_HOLDS_MS - 1;
  expect(await submit()).toEqual({ kind: 'too_many' });
  clock.ms = COUNT_HOLDS_MS;
  expect(await submit()).toEqual(accepted);
});

it('asks each tenant for itself', async () => {
  const { submit } = gate(1);
  const placed = await Promise.all([submit('a'), submit('b'), submit('a')]);
  expect(kinds(placed)).toEqual(['accepted', 'accepted', 'too_many']);
});

it('gives back the place of a submit that another had already made', async () => {
  const { submit } = gate(1);
  await submit('a', keyTaken);
  expect(await submit()).toEqual(accepted);
});

it('counts what is being stored while the database is asked', async () => {
  const { stored, clock, unfinished, submit } = gate(1);
  const hold = Promise.withResolvers<Acceptance>();
  const storing = Promise.withResolvers<void>();
  const first = unfinished.place('a', () => {
    storing.resolve();
    return hold.promise;
  });
  await storing.promise;
  clock.ms = COUNT_HOLDS_MS;
  expect(await submit()).toEqual({ kind: 'too_many' });
  stored.add('a');
  hold.resolve(accepted);
  expect(await first).toEqual(accepted);
});

it('keeps the place of a run that may or may not be stored, until the next count', async () => {
  const { clock, unfinished, submit } = gate(1);
  const fault = unfinished.place('a', () => Promise.reject(new Error('no answer to COMMIT')));
  await expect(fault).rejects.toThrow('no answer');
  expect(await submit()).toEqual({ kind: 'too_many' });
  clock.ms = COUNT_HOLDS_MS;
  expect(await submit()).toEqual(accepted);
});

it('has no limit at 0, and asks nobody', async () => {
  const { stored, submit } = gate(0);
  const placed = await Promise.all(Array.from({ length: 50 }, () => submit()));
  expect(new Set(kinds(placed))).toEqual(new Set(['accepted']));
  expect(stored.counts).toBe(0);
});

it('never has more stored than the limit, in whatever order things happen', async () => {
  const step = fc.oneof(
    fc.constant('submit' as const),
    fc.constant('replay' as const),
    fc.constant('finish' as const),
    fc.constant('later' as const),
    fc.constant('settle' as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step), async (limit, steps) => {
      const { stored, clock, submit } = gate(limit);
      const all: Promise<unknown>[] = [];
      for (const next of steps) {
        if (next === 'submit') all.push(submit());
        else if (next === 'replay') all.push(submit('a', keyTaken));
        else if (next === 'finish') stored.add('a', stored.of('a') > 0 ? -1 : 0);
        else if (next === 'later') clock.ms += COUNT_HOLDS_MS;
        else await Promise.all(all);
        expect(stored.of('a')).toBeLessThanOrEqual(limit);
        await Promise.resolve();
      }
      await Promise.all(all);
      expect(stored.of('a')).toBeLessThanOrEqual(limit);
    }),
    {
      numRuns: 1_000,
      // A place is taken, by one who has waited for the count before, while the next count is under way.
      examples: [[1, ['replay', 'later', 'submit', 'submit']]],
    },
  );
});
