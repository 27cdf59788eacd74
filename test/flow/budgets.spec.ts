/**
 * A run's budget, as the outside sees it: the caller over HTTP, a reader of the topics, and what OpenAI is asked and paid. Real: api
 * and processor as processes of their own, Postgres, Kafka. Stands in: the simulator for OpenAI, with a charge counter.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunView, UsageReport } from '#libs/contracts';
import { parseUsd } from '#libs/domain';
import { repositoryRoot } from '../../dev/stack/repository.js';
import { priceOfCharge } from '../oracle/price-of-charge.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { storyOf } from '../support/run-story.js';

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({});
});
afterAll(async () => flow?.close());

it('a call that the budget does not cover waits for a person, in words; a redrive with more money carries it out, and what it cost is told', async () => {
  const { runs, simulator } = flow;
  const asked = { workflow: 'answer', input: { question: 'What may this cost?' } };
  const accepted = await runs.submit({ ...asked, budget: { maxCostUsd: '0.01' } });
  const { id } = accepted.body as RunView;
  const stopped = await settled(id);
  expect(stopped).toMatchObject({
    ...{ status: 'needs_review', budget: { maxCostUsd: '0.01' } },
    failure: { class: 'budget_exceeded', code: 'run_budget' },
    cost: { bookedUsd: '0.00', uncertainUsd: '0.00', maxCostUsd: '0.01' },
  });
  expect(stopped.failure?.message).toMatch(
    /^This call costs up to \$0\.05\d+; \$0\.01 of the run's budget of \$0\.01 is left\. Tries of this call: 5 allowed by policy, 0 by budget\./,
  );
  expect(await simulator.callsOf(id)).toEqual([]);

  await runs.decide(id, 'redrive', { reason: 'worth it', budget: { maxCostUsd: '0.10' } });
  await runs.completion(id);
  const [charge] = (await simulator.charges()).filter(({ runId }) => id.endsWith(runId ?? '?'));
  const price = priceOfCharge(charge!);
  const { run } = await runs.view(id);
  expect(run.budget).toEqual({ maxCostUsd: '0.10' });
  expect(parseUsd(run.cost!.bookedUsd)).toBe(price);
  expect(run.cost).toMatchObject({ uncertainUsd: '0.00', maxCostUsd: '0.10' });

  await flow.published();
  const end = (await storyOf(flow.watch, id)).at(-1);
  expect(end?.data).toMatchObject({
    cost: run.cost,
    spend: [{ model: 'gpt-5.2', calls: 1, bookedUsd: run.cost!.bookedUsd, retriesUsd: '0.00' }],
  });
  const report = await usage();
  expect(report.rows).toContainEqual(
    expect.objectContaining({ workflow: 'answer', calls: 1, bookedUsd: run.cost!.bookedUsd }),
  );
});

it('a tender whose sections together might cost more than the budget, and do not, is completed within it', async () => {
  const { runs, simulator } = flow;
  const text = await readFile(
    join(repositoryRoot, 'dev/samples/larkmoor-patient-booking.md'),
    'utf8',
  );
  const { id: documentId } = await runs.upload(text, 'tender.md');
  const asked = { workflow: 'tender-compliance', input: {}, documents: [documentId] };
  const accepted = await runs.submit({ ...asked, budget: { maxCostUsd: '0.30' } });
  const { id } = accepted.body as RunView;
  await runs.completion(id);
  const charges = (await simulator.charges()).filter(({ runId }) => id.endsWith(runId ?? '?'));
  expect(charges.length).toBeGreaterThan(8);
  const { run } = await runs.view(id);
  const billed = charges.reduce((sum, charge) => sum + priceOfCharge(charge)!, 0n);
  expect(parseUsd(run.cost!.bookedUsd)).toBe(billed);
  expect(billed).toBeLessThanOrEqual(parseUsd('0.30')!);
});

function settled(id: string): Promise<RunView> {
  return eventually('the run waits for a person', async () => {
    const { run } = await flow.runs.view(id);
    return run.status === 'needs_review' && run;
  });
}

async function usage(): Promise<UsageReport> {
  const answer = await fetch(`${flow.scene.apiUrl}/v1/usage`);
  return (await answer.json()) as UsageReport;
}
