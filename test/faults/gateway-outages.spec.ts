/**
 * What stops every run at once, on the whole flow: no credit, a refused key, a missing model, OpenAI away or broken. Nothing may come
 * of it but a wait. Real: api, two processors, Postgres, Kafka, the OpenAI SDK over HTTP, an outside reader. Stand in: the
 * simulator for OpenAI, with its bill and its journal, and a TCP proxy before it that can be taken away.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { topics, type GatewayLatched, type GatewayReleased } from '#libs/contracts';
import { failureRules, uuidOf, type RunId } from '#libs/domain';
import type { Fault } from '../../dev/simulator/faults.js';
import { FaultyNetwork } from '../integration/postgres/faulty-network.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { originOf, readinessOnce } from '../support/readiness.js';
import { askAll, expectAllUp, expectUnbroken, untilAtRest } from '../support/unbroken.js';

const runs = 200;
const processors = 2;
const latencyMs = 300;
/** Of the ramp: see libs/openai-gateway/src/outages/ramp.ts. */
const stepMs = 1_000;
const slots = 32;

let flow: Flow;
let network: FaultyNetwork;
let port: number;
let origin: string;
const everyone: string[] = [];

beforeAll(async () => {
  flow = await openFlow({ processors: 0, modelLatencyMs: latencyMs });
  network = await FaultyNetwork.before(flow.scene.simulatorUrl);
  ({ port } = network);
  const env = {
    OPENAI_BASE_URL: `${new URL(network.url).origin}/v1`,
    ...{ PROCESSOR_LATCH_PROBE_MS: '2000', PROCESSOR_BREAKER_OPEN_MS: '2000' },
    PROCESSOR_RUN_SLOTS: String(slots),
  };
  await Promise.all(Array.from({ length: processors }, () => flow.scene.startProcessor(env)));
  origin = await originOf(flow.scene.processors[0]!);
}, 120_000);
afterAll(async () => {
  await flow?.close();
  await network?.close();
});

const refusal = (status: number, code: string | null): Fault => ({ kind: 'status', status, code });

describe.each([
  ['billing', null, refusal(429, 'insufficient_quota'), 'operator'],
  ['authorization', null, refusal(401, 'invalid_api_key'), 'probe'],
  ['configuration', 'gpt-5.2', refusal(404, 'model_not_found'), 'probe'],
] as const)('%s stops every run', (failed, model, fault, releasedBy) => {
  it('they wait, lose nothing, are told of once, and go on by themselves, slowly, when it is mended', async () => {
    const before = await beforeOutage();
    await flow.simulator.script({ fault, times: 'always' });
    const ids = await asked(failed);
    await untilAllWait(ids, failureRules[failed].people);
    const held = opsSince(before.ops);
    expect(held).toMatchObject([{ name: 'gateway-latched', data: { class: failed, model } }]);
    const ready = await readinessOnce(origin, 'openai', 'degraded', /^latched: default/);
    expect(ready.http).toBe(200);
    const sent = (await flow.simulator.calls()).length - before.calls;
    expect(sent).toBeLessThanOrEqual(processors * slots * 2); // a second of not knowing, and probes

    await flow.simulator.clearScript();
    if (releasedBy === 'operator') await release(held[0]!.data.latchId);
    await untilAllCompleted(ids, before.calls);
    const told = opsSince(before.ops).map(({ name, data }) => [
      name,
      'releasedBy' in data ? data.releasedBy : null,
    ]);
    expect(told).toEqual([
      ['gateway-latched', null],
      ['gateway-released', releasedBy],
    ]);
  }, 180_000);
});

/** Few enough that no processor sees ten in ten seconds. */
const few = { runs: 6, everyMs: 2_500 };

describe.each([
  ['nobody listens at OpenAI', () => network.close(), () => reopened()],
  [
    'OpenAI answers 503 to everything',
    () => flow.simulator.script({ fault: refusal(503, null), times: 'always' }),
    () => flow.simulator.clearScript(),
  ],
] as const)('%s', (_what, begin, end) => {
  it('costs runs nothing that come one by one, either', async () => {
    const before = await beforeOutage();
    await begin();
    const ids: string[] = [];
    for (let run = 0; run < few.runs; run += 1) {
      await sleep(few.everyMs);
      ids.push(...(await asked(`${_what}, run ${run}`, 1)));
    }
    await untilAllWait(ids, '^the AI service (cannot be reached, or is down|is coming back)');
    await end();
    await untilAllCompleted(ids, before.calls);
    expect(opsSince(before.ops)).toEqual([]);
  }, 180_000);

  it('runs wait, lose nothing, and go on by themselves, slowly, when it is over', async () => {
    const before = await beforeOutage();
    await begin();
    const ids = await asked(_what);
    await untilAllWait(ids, '^the AI service (cannot be reached, or is down|is coming back)');
    await end();
    await untilAllCompleted(ids, before.calls);
    expect(opsSince(before.ops)).toEqual([]);
  }, 180_000);
});

it('nothing of it was lost, told twice or paid twice', async () => {
  await expectUnbroken(flow, everyone);
  expectAllUp(flow);
}, 120_000);

async function reopened(): Promise<void> {
  network = await FaultyNetwork.before(flow.scene.simulatorUrl, port);
}

async function beforeOutage() {
  return { calls: (await flow.simulator.calls()).length, ops: opsSince(0).length };
}

async function asked(about: string, count = runs): Promise<string[]> {
  const questions = Array.from({ length: count }, (_, number) => `${about}, ${number}?`);
  const ids = await askAll(flow, questions);
  everyone.push(...ids);
  return ids;
}

interface OpsEvent {
  readonly name: string;
  readonly data: GatewayLatched | GatewayReleased;
}

/** What was told of the system, from the nth event on. */
function opsSince(nth: number): OpsEvent[] {
  const records = flow.watch.seen.filter(({ topic }) => topic === topics.opsEvents);
  return records.slice(nth).map(({ headers, value }) => ({
    name: /ops\.(.*)\.v1/.exec(String(headers['ce_type']))?.[1] ?? '',
    data: JSON.parse(String(value)) as OpsEvent['data'],
  }));
}

async function untilAllWait(ids: readonly string[], because: string): Promise<void> {
  await eventually(
    'every run says that it waits, and why',
    async () => {
      const { rows } = await flow.database.query<{ runs: number }>(
        `SELECT count(*)::int AS runs FROM api.runs WHERE id = ANY($1::uuid[])
         AND status = 'queued' AND waiting->>'reason' = 'outage' AND waiting->>'because' ~ $2`,
        [uuids(ids), because],
      );
      return rows[0]!.runs === ids.length;
    },
    60_000,
  );
  const { run } = await flow.runs.view(ids[0]!);
  expect(run.message).toMatch(
    /^Queued: .*The run keeps its place and goes on by itself; you need not do anything\.$/,
  );
}

async function release(latchId: string): Promise<void> {
  const answer = await fetch(`${origin}/v1/ops/gateway/latches/${latchId}/release`, {
    method: 'POST',
  });
  expect(answer.status).toBe(200);
}

async function untilAllCompleted(ids: readonly string[], callsBefore: number): Promise<void> {
  await untilAtRest(flow, 90_000);
  await flow.published();
  const { rows } = await flow.database.query<{ status: string; attempt: number; runs: number }>(
    `SELECT status, attempt, count(*)::int AS runs FROM api.runs WHERE id = ANY($1::uuid[]) GROUP BY 1, 2`,
    [uuids(ids)],
  );
  expect(rows).toEqual([{ status: 'completed', attempt: 1, runs: ids.length }]);
  await expectNoStampede(callsBefore, ids.length);
}

/** By the journal: at no moment were more calls under way than the ramps of all processors allow. */
async function expectNoStampede(callsBefore: number, count: number): Promise<void> {
  const calls = (await flow.simulator.calls()).slice(callsBefore);
  const atMs = calls.filter(({ fault }) => fault === null).map(({ at }) => Date.parse(at));
  expect(atMs).toHaveLength(count);
  const firstMs = Math.min(...atMs);
  for (const ms of atMs) {
    const underWay = atMs.filter((other) => other <= ms && other > ms - latencyMs).length;
    const level = 2 ** (1 + Math.floor((ms - firstMs) / stepMs));
    expect([ms - firstMs, underWay <= processors * level]).toEqual([ms - firstMs, true]);
  }
}

const uuids = (ids: readonly string[]) => ids.map((id) => uuidOf(id as RunId));
