import fc from 'fast-check';
import { sendInOrder } from './send-in-order.js';

interface Row {
  readonly seq: number;
  readonly key: string;
  readonly bad: boolean;
}

class Refused extends Error {}
const isRefusal = (error: unknown) => error instanceof Refused;

/** A broker that refuses any request holding a bad row, and remembers what it took. */
function broker(failAtRequest = Infinity) {
  const taken: Row[] = [];
  let requests = 0;
  return {
    taken,
    send: async (rows: readonly Row[]) => {
      requests += 1;
      if (requests === failAtRequest) throw new Error('connection lost');
      if (rows.some(({ bad }) => bad)) throw new Refused();
      taken.push(...rows);
    },
  };
}

const batches = fc
  .array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), bad: fc.boolean() }), {
    minLength: 1,
    maxLength: 40,
  })
  .map((rows) => rows.map((row, seq) => ({ ...row, seq })));

/** Rows before the first bad one of their key. */
const sendable = (rows: readonly Row[]) =>
  rows.filter((row) => !rows.some(({ key, bad, seq }) => key === row.key && bad && seq <= row.seq));

const bySeq = (a: Row, b: Row) => a.seq - b.seq;

describe('sending in order', () => {
  it('sends exactly the rows before the first refused one of their key, in order', async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (rows) => {
        const { send, taken } = broker();
        const outcome = await sendInOrder(rows, send, isRefusal);
        expect(taken).toEqual(sendable(rows));
        expect(outcome).toMatchObject({ acked: taken, failure: null });
        const refused = outcome.refused.map(({ row }) => row).sort(bySeq);
        const firstBad = rows.filter(
          ({ bad, key, seq }) =>
            bad && !rows.some((other) => other.bad && other.key === key && other.seq < seq),
        );
        expect(refused).toEqual(firstBad);
      }),
    );
  });

  it('ends the round at any other failure, with a prefix of each key acknowledged', async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.integer({ min: 1, max: 20 }), async (rows, failAtRequest) => {
        const { send, taken } = broker(failAtRequest);
        const outcome = await sendInOrder(rows, send, isRefusal);
        expect(outcome.acked).toEqual(taken);
        expect(taken).toEqual(sendable(rows).slice(0, taken.length));
        if (outcome.failure) expect(outcome.failure.message).toBe('connection lost');
      }),
    );
  });

  it('sends a good batch as it is', async () => {
    const requests: number[] = [];
    const rows = Array.from({ length: 500 }, (_, seq) => ({ seq, key: `${seq % 7}`, bad: false }));
    await sendInOrder(rows, async (chunk) => void requests.push(chunk.length), isRefusal);
    expect(requests).toEqual([500]);
  });
});
