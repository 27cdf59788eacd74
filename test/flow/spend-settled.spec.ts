/**
 * What a call cost is told late, by OpenAI's webhook, when its run has told its end: the usage follows, and the run does not move.
 * Real: api and processor as processes of their own, Postgres, Kafka, an outside reader. Stands in: the simulator for OpenAI, which
 * charges and loses replies; the spec for OpenAI's sender of webhooks; time, which is moved in the ledger's row.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import {
  RUN_SPEND_SETTLED,
  topics,
  type RunSpendSettled,
  type RunView,
  type UsageReport,
} from '#libs/contracts';
import { nanoUsd, parseUsd, printUsd, uuidOf, type RunId } from '#libs/domain';
import { messageProblems } from '../../dev/docs/check-message.js';
import { signWebhook } from '../../dev/simulator/webhooks.js';
import { priceOfCharge } from '../oracle/price-of-charge.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { originOf } from '../support/readiness.js';
import { storyOf } from '../support/run-story.js';
import { headersOf } from '../support/topic-watch.js';

const secret = `whsec_${randomBytes(24).toString('base64')}`;
let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ env: { OPENAI_WEBHOOK_SECRET: secret, OPENAI_CONVERSATIONS: 'off' } });
});
afterAll(async () => flow?.close());

it.each(['needs_review', 'cancelled'] as const)(
  'a run that is %s while nobody knows of its call: what that cost is booked, told once, and no longer uncertain',
  async (status) => {
    const before = await usage();
    const id = await endedAs(status);
    const ended = await eventually('the view', async () => {
      const { run } = await flow.runs.view(id);
      return run.status === status && run;
    });
    expect(parseUsd(ended.cost!.uncertainUsd)).toBeGreaterThan(0n);
    const stopped = await usage();
    expect(grown(before, stopped)).toMatchObject({ runs: 1, calls: 1, booked: 0n });
    expect(grown(before, stopped).uncertain).toBe(parseUsd(ended.cost!.uncertainUsd));

    const charge = (await flow.simulator.charges()).find(({ runId }) => id.endsWith(runId ?? '?'))!;
    const price = priceOfCharge(charge)!;
    expect(await tellOf(charge.responseId)).toBe(200);
    const { run, etag } = await eventually('it is settled', async () => {
      const view = await flow.runs.view(id);
      return view.run.cost?.uncertainUsd === '0.00' && view;
    });
    expect(run).toMatchObject({ status, version: ended.version });
    expect(run.cost!.bookedUsd).toBe(printUsd(nanoUsd(price)));
    const settled = await usage();
    expect(grown(before, settled)).toEqual({
      ...{ runs: 1, calls: 1, booked: price, uncertain: 0n },
      outputTokens: run.usage!.outputTokens,
    });

    await flow.published();
    const records = flow.watch
      .of(topics.runEvents, id)
      .filter((record) => headersOf(record)['ce_type'] === RUN_SPEND_SETTLED);
    expect(records).toHaveLength(1);
    const data = JSON.parse(String(records[0]!.value)) as RunSpendSettled;
    expect(data).toMatchObject({ afterVersion: ended.version, settlement: 1, cost: run.cost });
    const published = { topic: topics.runEvents, key: id, headers: headersOf(records[0]!), data };
    expect(messageProblems(published)).toEqual([]);
    const story = await storyOf(flow.watch, id);
    expect(story.at(-1)?.data).toMatchObject({ status, version: ended.version });

    expect(await tellOf(charge.responseId)).toBe(200); // another delivery of the same
    await flow.published();
    expect((await flow.runs.view(id)).etag).toBe(etag);
    expect(await usage()).toEqual(settled);
  },
);

/** A run of one call that was charged and whose reply was lost; it came to this end, and OpenAI has told nothing yet. */
async function endedAs(status: RunView['status']): Promise<string> {
  const question = `What was lost, ${randomUUID()}?`;
  await flow.simulator.script({
    ...{ match: { inputIncludes: question }, fault: { kind: 'reset_after_charge' } },
  });
  const { id } = await flow.runs.ask(question);
  await flow.runs.streamUntil(id, 'wait', ({ message }) => message.includes('was lost on the way'));
  if (status === 'cancelled') await flow.runs.decide(id, 'cancel', { reason: 'nobody waits' });
  else
    await flow.database.query(
      `UPDATE processor.calls SET sending_at = sending_at - interval '1 hour' WHERE run_id = $1`,
      [uuidOf(id as RunId)],
    );
  await flow.runs.streamUntil(id, status, (entry) => entry.status === status);
  return id;
}

async function tellOf(responseId: string): Promise<number> {
  const body = JSON.stringify({
    ...{ object: 'event', type: 'response.completed', data: { id: responseId } },
  });
  const headers = signWebhook(body, `wh_${randomUUID()}`, secret, Date.now());
  const url = `${await originOf(flow.scene.processors[0]!)}/v1/openai/webhooks`;
  return (await fetch(url, { method: 'POST', headers, body })).status;
}

async function usage(): Promise<UsageReport['total']> {
  const answer = await fetch(`${flow.scene.apiUrl}/v1/usage`);
  return ((await answer.json()) as UsageReport).total;
}

function grown(before: UsageReport['total'], after: UsageReport['total']) {
  const money = (of: UsageReport['total'], part: 'bookedUsd' | 'uncertainUsd') =>
    parseUsd(of[part])!;
  return {
    runs: after.runs - before.runs,
    calls: after.calls - before.calls,
    outputTokens: after.outputTokens - before.outputTokens,
    booked: money(after, 'bookedUsd') - money(before, 'bookedUsd'),
    uncertain: money(after, 'uncertainUsd') - money(before, 'uncertainUsd'),
  };
}
