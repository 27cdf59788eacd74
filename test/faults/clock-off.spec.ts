/**
 * A host whose clock is 5 minutes off, each way. Real: api and processors as processes of their own, Postgres, Kafka. Stands in: the
 * simulator for OpenAI; a preloaded Date for the wrong clock (the monotonic clock is right, as it is on such a host).
 */
import { join } from 'node:path';
import { repositoryRoot } from '../../dev/stack/repository.js';
import { openFlow, type Flow } from '../support/flow.js';
import { askAll, expectUnbroken, untilAtRest } from '../support/unbroken.js';

const offMs = 300_000;
const retryAfterMs = 6_000;

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ processors: 0 });
});
afterAll(async () => flow?.close());

it.each([
  ['5 minutes ahead', offMs],
  ['5 minutes behind', -offMs],
])(
  'a processor whose clock is %s waits as long as it was told, and loses no lease',
  async (words, shiftMs) => {
    const shifted = join(repositoryRoot, 'dist/test/support/shifted-clock.js');
    const processor = await flow.scene.startProcessor({
      NODE_OPTIONS: `--import ${shifted}`,
      SHIFT_CLOCK_MS: String(shiftMs),
    });
    const throttled = `Who waits, ${words}?`;
    const headers = { 'retry-after': String(retryAfterMs / 1_000) };
    await flow.simulator.script({
      match: { inputIncludes: throttled },
      fault: { kind: 'status', status: 429, headers },
    });
    const [id = '', ...others] = await askAll(flow, [throttled, 'And who does not?']);
    await untilAtRest(flow, 40_000);
    const [first, second] = (await flow.simulator.callsOf(id)).map(({ at }) => Date.parse(at));
    expect(second! - first!).toBeGreaterThanOrEqual(retryAfterMs);
    expect(second! - first!).toBeLessThan(20_000);
    const { attempts } = await expectUnbroken(flow, [id, ...others]);
    expect(attempts.map(({ outcome }) => outcome)).not.toContain('lease_lost');
    await processor.stop();
  },
  60_000,
);
