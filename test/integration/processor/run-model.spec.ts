/**
 * Real: Postgres, the processor's stores, two processors. Stands in: time: leases and waits end when the script says so.
 * A short look; test/faults/run-model.spec.ts plays thousands of scripts.
 */
import fc from 'fast-check';
import {
  openProcessorFixture,
  type ProcessorFixture,
  type SpecProcessor,
} from './processor-fixture.js';
import { anyStep, RunScene } from './run-script.js';

let fixture: ProcessorFixture;
let processors: [SpecProcessor, SpecProcessor];
beforeAll(async () => {
  fixture = await openProcessorFixture();
  processors = [fixture.processor('one'), fixture.processor('two')];
});
afterAll(() => fixture.stop());

it('whatever happens to runs, in any order, happens to the model too', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 60, size: 'max' }), (steps) =>
      new RunScene(fixture, processors).play(steps),
    ),
    { numRuns: 50, endOnFailure: true },
  );
});
