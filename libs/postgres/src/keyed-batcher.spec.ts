/** Stands in: `write` is a model of a table that answers when the property says so, and fails as Postgres would. */
import fc from 'fast-check';
import { BatchResultsMisalignedError } from './batch-attempt.js';
import { KeyedBatcher } from './keyed-batcher.js';
import { RowRefusedError } from './postgres-errors.js';

interface Item {
  readonly key: string;
  readonly serial: number;
  readonly poisoned: boolean;
}

const failure = (code: string) => Object.assign(new Error(code), { code });
const NO_DELAY = { firstDelayMs: 0, maxDelayMs: 0 };
const KEYS = ['a', 'b', 'c', 'd', 'e'];

/** A table that keeps what is written to it, and notes what a batcher must never do. */
class Table {
  readonly written: Item[] = [];
  readonly statements: string[][] = [];
  private readonly inFlight: string[] = [];
  readonly broken: string[] = [];

  constructor(
    private readonly turn: () => Promise<unknown>,
    /** For each call in order: fail it before or after it was applied, with a transient error. */
    private readonly hiccups: ('none' | 'before' | 'after')[] = [],
  ) {}

  write = async (items: readonly Item[]): Promise<string[]> => {
    const keys = items.map((item) => item.key);
    this.note(new Set(keys).size === keys.length, 'a key twice in a batch');
    this.note(keys.join() === [...keys].sort().join(), 'a batch that is not sorted');
    this.note(this.inFlight.length === 0, 'two batches in flight');
    this.statements.push(keys);
    this.inFlight.push(...keys);
    try {
      await this.turn();
      const hiccup = this.hiccups.shift() ?? 'none';
      if (hiccup === 'before') throw failure('40P01');
      if (items.some((item) => item.poisoned)) throw failure('22021');
      this.written.push(...items);
      if (hiccup === 'after') throw failure('ECONNRESET');
      return items.map((item) => `wrote ${item.serial}`);
    } finally {
      this.inFlight.length = 0;
    }
  };

  private note(kept: boolean, rule: string): void {
    if (!kept) this.broken.push(rule);
  }
}

const batcherOf = (table: Table, options: { maxItems?: number; spacingMs?: number } = {}) =>
  new KeyedBatcher<Item, string>({
    name: 'spec',
    keyOf: (item) => item.key,
    write: table.write,
    spacingMs: 0,
    retry: NO_DELAY,
    ...options,
  });

const turnOf = async (turns: number) => {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('any pushes, with answers in any order, transient failures and poisoned items', () => {
  const script = fc.record({
    pushes: fc.array(
      fc.record({
        key: fc.constantFrom(...KEYS),
        poisoned: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
        pauseAfter: fc.integer({ min: 0, max: 8 }),
      }),
      { maxLength: 60 },
    ),
    answers: fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1 }),
    hiccups: fc.array(fc.constantFrom('none', 'none', 'before', 'after')),
    maxItems: fc.integer({ min: 1, max: 6 }),
  });

  it('never a key twice in a batch, order per key kept, only the poisoned rejected, each settled once', async () => {
    await fc.assert(
      fc.asyncProperty(script, async ({ pushes, answers, hiccups, maxItems }) => {
        let call = 0;
        const table = new Table(() => turnOf(answers[call++ % answers.length] ?? 0), [...hiccups]);
        const batcher = batcherOf(table, { maxItems });
        const settled: string[] = [];
        const outcomes: Promise<unknown>[] = [];
        for (const [serial, { key, poisoned, pauseAfter }] of pushes.entries()) {
          const outcome = batcher.push({ key, serial, poisoned }).then(
            (result) => settled.push(result),
            (error: Error) => settled.push(`${error.message} ${serial}`),
          );
          outcomes.push(outcome);
          await turnOf(pauseAfter);
        }
        await Promise.all(outcomes);

        expect(table.broken).toEqual([]);
        expect(table.statements.every((keys) => keys.length <= maxItems)).toBe(true);
        const expected = pushes.map(({ poisoned }, serial) =>
          poisoned ? `22021 ${serial}` : `wrote ${serial}`,
        );
        expect([...settled].sort()).toEqual(expected.sort());
        for (const key of KEYS) {
          // An item whose answer was lost is written again, at once: the first writes of a key are in order.
          const serials = table.written.filter((item) => item.key === key).map((i) => i.serial);
          const firsts = [...new Set(serials)];
          expect(serials).toEqual([...serials].sort((a, b) => a - b));
          expect(firsts).toEqual(
            pushes.flatMap((p, serial) => (p.key === key && !p.poisoned ? [serial] : [])),
          );
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('natural batching', () => {
  const item = (key: string, serial = 0): Item => ({ key, serial, poisoned: false });
  const held = () => {
    const answers: (() => void)[] = [];
    const table = new Table(() => new Promise<void>((answer) => answers.push(answer)));
    const settle = async () => {
      answers.splice(0).forEach((answer) => answer());
      await turnOf(5);
    };
    return { table, settle };
  };

  it('writes one at once when idle, and what is pushed in one go as one batch', async () => {
    const { table, settle } = held();
    const batcher = batcherOf(table);
    void batcher.push(item('a'));
    await turnOf(2);
    expect(table.statements).toEqual([['a']]);
    await settle();
    for (const key of ['d', 'b', 'c']) void batcher.push(item(key));
    await turnOf(2);
    expect(table.statements).toEqual([['a'], ['b', 'c', 'd']]);
    await settle();
  });

  it('gathers what arrives while a write is in flight into the next one', async () => {
    const { table, settle } = held();
    const batcher = batcherOf(table);
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      void batcher.push(item(key));
      await turnOf(2);
    }
    expect(table.statements).toEqual([['a']]);
    await settle();
    expect(table.statements).toEqual([['a'], ['b', 'c', 'd', 'e']]);
    await settle();
  });

  it('a busy key holds up nobody else', async () => {
    const { table, settle } = held();
    const batcher = batcherOf(table, { maxItems: 2 });
    for (let serial = 0; serial < 50; serial++) void batcher.push(item('busy', serial));
    void batcher.push(item('quiet'));
    await turnOf(2);
    expect(table.statements).toEqual([['busy', 'quiet']]);
    await settle();
  });

  it('lets keys take turns: many items of one do not keep another out of a batch', async () => {
    const { table, settle } = held();
    const batcher = batcherOf(table, { maxItems: 1 });
    for (let serial = 0; serial < 3; serial++) void batcher.push(item('busy', serial));
    void batcher.push(item('quiet'));
    await turnOf(2);
    await settle();
    expect(table.statements).toEqual([['busy'], ['quiet']]);
    await settle();
  });

  it('begins batches some milliseconds apart, so that what comes in between is one batch', async () => {
    const table = new Table(() => Promise.resolve());
    const batcher = batcherOf(table, { spacingMs: 50 });
    const pushedAtMs = performance.now();
    await batcher.push(item('a'));
    const next = ['b', 'c', 'd'].map(async (key, turns) => {
      await turnOf(turns);
      return batcher.push(item(key));
    });
    await Promise.all(next);
    expect(table.statements).toEqual([['a'], ['b', 'c', 'd']]);
    expect(performance.now() - pushedAtMs).toBeGreaterThanOrEqual(47); // a timer of Node's may end up to 2 ms early
  });
});

describe('a row that our own code refuses', () => {
  class TooMuchToTellError extends RowRefusedError {}

  it('fails alone, with its own error', async () => {
    const batcher = new KeyedBatcher<string, string>({
      name: 'spec',
      keyOf: (text) => text,
      write: async (texts) => {
        if (texts.includes('f')) throw new TooMuchToTellError('f');
        return texts;
      },
    });
    const pushed = await Promise.allSettled([...'abcdefghij'].map((text) => batcher.push(text)));
    const refused = pushed.flatMap((each) =>
      each.status === 'rejected' ? [each.reason as unknown] : [],
    );
    expect(refused).toEqual([new TooMuchToTellError('f')]);
  });
});

describe('failures', () => {
  const push = (
    write: (items: readonly Item[]) => Promise<string[]>,
    keys: string[],
    retry = { ...NO_DELAY, maxRetryMs: 1_000 },
  ) => {
    const batcher = new KeyedBatcher<Item, string>({
      name: 'spec',
      keyOf: (i) => i.key,
      write,
      retry,
    });
    return Promise.allSettled(keys.map((key) => batcher.push({ key, serial: 0, poisoned: false })));
  };

  it('one poisoned row of 500 costs about 2 log2(500) statements, and only itself', async () => {
    const items = Array.from({ length: 500 }, (_, i) => ({
      key: String(i).padStart(3, '0'),
      serial: i,
      poisoned: i === 321,
    }));
    const table = new Table(() => Promise.resolve());
    const batcher = batcherOf(table);
    const outcomes = await Promise.allSettled(items.map((item) => batcher.push(item)));
    expect(outcomes.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []))).toEqual([321]);
    expect(table.statements.length).toBeLessThanOrEqual(1 + 2 * 9);
  });

  it('a statement that no data can mend is not bisected: all fail at once', async () => {
    let calls = 0;
    const outcomes = await push(async () => {
      calls++;
      throw failure('42P01');
    }, ['a', 'b', 'c']);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(calls).toBe(1);
  });

  it('a database that stays away fails the batch when the retry time is used up', async () => {
    let calls = 0;
    const outcomes = await push(
      async () => {
        calls++;
        throw failure('ECONNREFUSED');
      },
      ['a', 'b'],
      { firstDelayMs: 1, maxDelayMs: 4, maxRetryMs: 30 },
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(calls).toBeGreaterThan(3);
    expect(calls).toBeLessThan(60);
  });

  it('a database that goes away in the middle of a bisection is not asked again for each part', async () => {
    const asked: string[] = [];
    const outcomes = await push(
      async (items) => {
        asked.push(items.map((item) => item.key).join(''));
        throw failure(asked.length === 1 ? '22021' : 'ECONNREFUSED');
      },
      ['a', 'b', 'c', 'd'],
      { firstDelayMs: 1, maxDelayMs: 4, maxRetryMs: 30 },
    );
    expect(outcomes.map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
    expect(new Set(asked)).toEqual(new Set(['abcd', 'ab']));
  });

  it('a write that answers with too few results is a bug, told by name', async () => {
    const [outcome] = await push(async () => [], ['a']);
    expect(outcome).toMatchObject({ reason: expect.any(BatchResultsMisalignedError) as unknown });
  });

  it('an item whose key cannot be told is rejected, and the others written', async () => {
    const batcher = new KeyedBatcher<Item | null, string>({
      name: 'spec',
      keyOf: (item) => (item as Item).key,
      write: async (items) => items.map(() => 'wrote'),
    });
    const bad = batcher.push(null);
    const good = batcher.push({ key: 'a', serial: 0, poisoned: false });
    await expect(bad).rejects.toThrow(TypeError);
    await expect(good).resolves.toBe('wrote');
  });
});
