/**
 * Thousands of random scripts of what can happen to runs, against the model of test/integration/processor/run-script.ts.
 * Real: Postgres, the processor's stores, two processors on each of several databases. Stands in: time.
 */
import fc from 'fast-check';
import { openProcessorFixture } from '../integration/processor/processor-fixture.js';
import { anyStep, RunScene, type Step } from '../integration/processor/run-script.js';
import { fuzzSeed } from '../fuzz/fuzz-seed.js';

const scripts = 2_000;
const databases = 4;

it(`${scripts} scripts end as the model says (seed ${fuzzSeed})`, async () => {
  const steps = fc.array(anyStep, { minLength: 8, maxLength: 30, size: 'max' });
  const queue = fc.sample(steps, { seed: fuzzSeed, numRuns: scripts }).values();
  await Promise.all(Array.from({ length: databases }, () => playFrom(queue)));
}, 240_000);

/** Each script has the database to itself: a claim takes whatever is ready. */
async function playFrom(queue: Iterable<Step[]>): Promise<void> {
  const fixture = await openProcessorFixture();
  try {
    const processors = [fixture.processor('one'), fixture.processor('two')] as const;
    for (const script of queue)
      await new RunScene(fixture, processors).play(script).catch((cause: unknown) => {
        throw new Error(`broken by ${JSON.stringify(script)}`, { cause });
      });
  } finally {
    await fixture.stop();
  }
}
