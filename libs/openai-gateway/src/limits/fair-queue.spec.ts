import fc from 'fast-check';
import { FairQueue, type Queued } from './fair-queue.js';

interface Item extends Queued {
  readonly name: string;
}

const item = (tenant: string, changes: Partial<Item> = {}): Item => ({
  ...{ name: tenant, tenant, priority: 'interactive', weight: 1, cost: 1 },
  ...changes,
});

function drain(queue: FairQueue<Item>, items = Infinity): string[] {
  const names: string[] = [];
  for (let next; names.length < items && (next = queue.shift()) !== undefined;)
    names.push(next.name);
  return names;
}

describe('those who wait', () => {
  it('of one tenant go in the order in which they came', () => {
    const queue = new FairQueue<Item>();
    ['1', '2', '3'].forEach((name) => queue.push(item('a', { name })));
    expect(drain(queue)).toEqual(['1', '2', '3']);
    expect(queue.size).toBe(0);
  });

  it('of a tenant that comes new are preceded by one of each other at most, however many those have', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 1, max: 5_000 }),
        (floods, served, cost) => {
          const queue = new FairQueue<Item>();
          floods.forEach((count, tenant) => {
            for (let n = 0; n < count; n += 1) queue.push(item(`flood-${tenant}`, { cost }));
          });
          drain(queue, served);
          queue.push(item('new', { cost }));
          const place = drain(queue).indexOf('new');
          expect(place).toBeLessThanOrEqual(floods.length);
        },
      ),
    );
  });

  it('share what they cost by weight', () => {
    const queue = new FairQueue<Item>();
    for (let n = 0; n < 400; n += 1) {
      queue.push(item('heavy', { weight: 3, cost: 100 }));
      queue.push(item('light', { weight: 1, cost: 50 }));
    }
    const first = drain(queue, 250);
    const cost = (tenant: string, each: number) =>
      first.filter((name) => name === tenant).length * each;
    expect(cost('heavy', 100) / cost('light', 50)).toBeCloseTo(3, 1);
  });

  it('interactively go before a batch, which gets one turn in ten all the same', () => {
    const queue = new FairQueue<Item>();
    for (let n = 0; n < 40; n += 1) {
      queue.push(item('b', { priority: 'batch', name: 'batch' }));
      queue.push(item('a', { name: 'now' }));
    }
    const first = drain(queue, 40);
    expect(first.slice(0, 9)).toEqual(Array(9).fill('now'));
    expect(first.filter((name) => name === 'batch')).toHaveLength(4);
  });

  it('come out once each, in whatever order they came, left and went', () => {
    const action = fc.record({
      kind: fc.constantFrom('push', 'shift', 'remove'),
      tenant: fc.constantFrom('a', 'b', 'c'),
      priority: fc.constantFrom('interactive' as const, 'batch' as const),
      weight: fc.integer({ min: 1, max: 9 }),
      cost: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const queue = new FairQueue<Item>();
        const waiting = new Set<Item>();
        for (const { kind, ...each } of actions) {
          const [oldest] = waiting;
          if (kind === 'push') {
            const pushed = item(each.tenant, each);
            queue.push(pushed);
            waiting.add(pushed);
          } else if (kind === 'shift') {
            const next = queue.peek();
            expect(queue.shift()).toBe(next);
            if (next === undefined) expect(waiting.size).toBe(0);
            else expect(waiting.delete(next)).toBe(true);
          } else if (oldest !== undefined) {
            expect(queue.remove(oldest)).toBe(true);
            expect(queue.remove(oldest)).toBe(false);
            waiting.delete(oldest);
          }
          expect(queue.size).toBe(waiting.size);
        }
        expect(new Set(queue.items())).toEqual(waiting);
      }),
    );
  });
});

it('whoever comes late shares from then on, and catches up on nothing', () => {
  const queue = new FairQueue();
  const push = (tenant: string, times: number) => {
    for (let n = 0; n < times; n += 1)
      queue.push({ tenant, priority: 'interactive', weight: 1, cost: 1 });
  };
  push('early', 100);
  for (let n = 0; n < 50; n += 1) queue.shift();
  push('late', 50);
  const next = Array.from({ length: 20 }, () => queue.shift()?.tenant);
  expect(next.filter((tenant) => tenant === 'late')).toHaveLength(10);
});
