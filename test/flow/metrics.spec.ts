/**
 * What `/metrics` of both apps shows of a real flow. Real: api, processor, Postgres, Kafka. Stands in: the simulator for OpenAI.
 * Numbers that need an accident which no flow brings about are held by the specs named in `heldElsewhere`.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { topics, type RunView } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { definitionOf, metricNames, type AppName } from '#libs/metrics';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { patienceMs } from '../support/patience.js';
import { signWebhook } from '../../dev/simulator/webhooks.js';

const heldElsewhere = {
  holdfast_breaker_opened_total: 'test/integration/openai-gateway/outages.spec.ts',
  holdfast_budget_refusals_total: 'test/integration/openai-gateway/budgets.spec.ts',
  holdfast_consumer_paused_partitions: 'libs/messaging/src/report-metrics.spec.ts',
  holdfast_consumer_faults_total: 'libs/messaging/src/report-metrics.spec.ts',
  holdfast_effects_total: 'test/faults/effects-once.spec.ts',
  holdfast_effect_duration_seconds: 'test/faults/effects-once.spec.ts',
  holdfast_fences_lost_total: 'apps/processor/src/execute-runs/progress-teller.spec.ts',
  holdfast_limit_waiting_calls: 'test/integration/openai-gateway/fleet-limits.spec.ts',
  holdfast_metrics_unread_total: 'libs/metrics/src/prometheus-metrics.spec.ts',
} as const;

const limit = 4;
/** A process that is asked more often has little time for anything else. */
const lookEveryMs = 100;
const secret = `whsec_${randomBytes(24).toString('base64')}`;
let flow: Flow;
const urls: Record<AppName, string> = { api: '', processor: '' };
/** Names with a sample that was not zero at some time. */
const moved = new Set<string>();

beforeAll(async () => {
  const env = {
    API_MAX_UNFINISHED_RUNS: String(limit),
    API_SILENCE_MS: '2000',
    OPENAI_WEBHOOK_SECRET: secret,
  };
  flow = await openFlow({ env });
  const ready = (await flow.scene.processors[0]?.ready()) ?? '';
  urls.api = flow.scene.apiUrl;
  urls.processor = new URL(/http:\/\/[^\s,]+/.exec(ready)?.[0] ?? '').origin;
});
afterAll(async () => flow?.close());

it.each(['api', 'processor'] as const)(
  'of the %s are those of the catalogue, and no others',
  async (app) => {
    const text = await (await fetch(`${urls[app]}/metrics`)).text();
    const served = [...text.matchAll(/^# TYPE (holdfast_\w+) (\w+)$/gm)].map(
      ([, name, type]) => `${name} ${type}`,
    );
    const declared = metricNames.filter((name) => definitionOf(name).apps.includes(app));
    expect(served.sort()).toEqual(
      declared.map((name) => `${name} ${definitionOf(name).type}`).sort(),
    );
    expect(text).toContain('nodejs_eventloop_lag_seconds');
  },
);

it('count a run that completes: accepted, admitted, claimed, called, paid, projected', async () => {
  const key = randomUUID();
  const body = questionOf('Which colour?');
  const { body: run } = await flow.runs.submit(body, key);
  const { id } = run as { id: string };
  await flow.runs.completion(id);
  await flow.runs.submit(body, key);
  await shows('api', 'holdfast_runs_accepted_total{workflow="answer"} 1');
  await shows('api', 'holdfast_submits_replayed_total 1');
  await shows('api', 'holdfast_projected_events_total{outcome="applied"} ');
  await shows('processor', 'holdfast_admissions_total{kind="insert"} 1');
  await shows('processor', 'holdfast_runs_claimed_total 1');
  await shows('processor', 'holdfast_run_outcomes_total{outcome="completed",class="none"} 1');
  await shows(
    'processor',
    /holdfast_calls_total\{model="[^"]+",outcome="completed",class="none"\} 1/,
  );
  await shows('processor', /holdfast_tokens_total\{model="[^"]+",kind="output"\} [1-9]/);
  for (const change of ['made', 'used', 'removed'])
    await shows('processor', `holdfast_anchors_total{account="default",change="${change}"} `);
  await shows('processor', /holdfast_anchor_stock\{account="default"\} [1-9]/);
});

it("count what OpenAI tells of a call's end", async () => {
  const { id } = await flow.runs.ask('Who tells of it?');
  await flow.runs.completion(id); // so the ledger knows: told before that, it would be looked at again in 30 s
  const charge = (await flow.simulator.charges()).find(
    ({ runId }) => runId === uuidOf(id as RunId),
  );
  const body = JSON.stringify({ type: 'response.completed', data: { id: charge?.responseId } });
  const headers = signWebhook(body, 'wh_spec', secret, Date.now());
  const url = `${urls.processor}/v1/openai/webhooks`;
  expect((await fetch(url, { method: 'POST', headers, body })).ok).toBe(true);
  await shows('processor', 'holdfast_webhooks_total{outcome="stored"} 1');
  await shows('processor', 'holdfast_webhook_look_ups_total{outcome="known"} 1');
});

it('show who waits, and who is held back', async () => {
  await flow.database.query('UPDATE processor.lanes SET paused = true');
  const ids: string[] = [];
  for (let n = 0; n < limit; n += 1) ids.push(await askOnceThereIsAPlace(`Waiting ${n}?`));
  const { status } = await flow.runs.submit(questionOf('One more?'));
  expect(status).toBe(429);
  await shows('api', /holdfast_submits_held_back_total [1-9]/);
  await shows(
    'processor',
    new RegExp(`holdfast_waiting_runs\\{state="ready",model="[^"]+"\\} ${limit}`),
  );
  await shows(
    'processor',
    /holdfast_oldest_waiting_run_seconds\{state="ready",model="[^"]+"\} \d*[1-9]/,
  );
  const told = flow.runs.completion(ids[0] ?? '');
  await shows('api', /holdfast_event_watchers [1-9]/);
  await flow.database.query('UPDATE processor.lanes SET paused = false');
  await Promise.all([told, ...ids.slice(1).map((id) => flow.runs.completion(id))]);
});

it('show a lane that is latched, and its release', async () => {
  const question = 'With which key?';
  const fault = { kind: 'status', status: 401 } as const;
  await flow.simulator.script({ match: { inputIncludes: question }, fault });
  const id = await askOnceThereIsAPlace(question);
  await shows('processor', 'holdfast_latches_total{class="authorization",change="set"} 1');
  await shows('processor', 'holdfast_lanes_shut{model="all",because="latch"} 1');
  const route = `${urls.processor}/v1/ops/gateway/latches`;
  const { latches } = (await (await fetch(route)).json()) as { latches: { latchId: string }[] };
  await fetch(`${route}/${latches[0]!.latchId}/release`, { method: 'POST' });
  await shows('processor', /holdfast_latches_total\{.*change="released_by_operator"\} 1/);
  await flow.runs.completion(id);
});

it('show records that are no messages, and events that are set aside', async () => {
  const garbage = { partition: 0, key: Buffer.from('x'), value: Buffer.from('{'), headers: {} };
  await flow.watch.send([
    { topic: topics.runRequested, ...garbage },
    { topic: topics.runEvents, ...garbage },
  ]);
  await shows('processor', /holdfast_dead_records_total\{code="\w+"\} 1/);
  await shows('processor', /holdfast_consumer_undecodable_total\{group="[\w.-]+"\} 1/);
  await shows('api', 'holdfast_projected_events_total{outcome="set_aside"} 1');
  await shows('api', 'holdfast_parked_events{reason="undecodable"} 1');
});

it('show a run that is taken from its owner: lost, fenced off, rescued, completed', async () => {
  const question = 'Who comes late?';
  await flow.simulator.script({
    match: { inputIncludes: question },
    fault: { kind: 'latency', ms: 600_000 },
  });
  const { id } = await flow.runs.ask(question);
  await flow.runs.streamUntil(id, 'progress', ({ type }) => type.includes('progressed')); // its next write is the outcome
  await shows('processor', /holdfast_runs_in_hand [1-9]/);
  await shows('processor', /holdfast_leases_renewed_total [1-9]/);
  await shows('processor', /holdfast_limit_calls_in_flight\{pool="[^"]+"\} [1-9]/);
  await flow.database.query(
    `UPDATE processor.executions SET fence = fence + 1, owner = 'gone', lease_until = now() + interval '4 s' WHERE run_id = $1`,
    [uuidOf(id as RunId)],
  );
  await shows('processor', 'holdfast_leases_lost_total 1');
  await shows('processor', 'holdfast_rescues_total{kind="lease_expired"} 1');
  await flow.simulator.finish();
  await flow.runs.completion(id);
});

it('show calls that wait because OpenAI has asked for a pause', async () => {
  const [first, second] = ['Who is told to wait?', 'Who waits, too?'];
  await flow.simulator.script({
    match: { inputIncludes: first },
    fault: {
      kind: 'status',
      status: 429,
      code: 'rate_limit_exceeded',
      headers: { 'retry-after': '6' },
    },
  });
  const told = await flow.runs.ask(first);
  await shows('processor', /holdfast_limit_corrections_total\{pool="[^"]+",kind="throttled"\} 1/);
  const waits = await flow.runs.ask(second);
  await Promise.all([flow.runs.completion(told.id), flow.runs.completion(waits.id)]);
});

it('count decisions, by what became of them', async () => {
  const question = 'Who changes his mind?';
  await flow.simulator.script({
    match: { inputIncludes: question },
    fault: { kind: 'latency', ms: 600_000 },
  });
  const { id } = await flow.runs.ask(question);
  await flow.runs.streamUntil(id, 'start', ({ status }) => status === 'running');
  await flow.runs.decide(id, 'cancel');
  await shows('api', 'holdfast_decisions_total{decision="cancel",outcome="applied"} 1');
});

it('show a run of which nothing is heard, and what heals it', async () => {
  await flow.database.query(
    `CREATE FUNCTION api.lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     CREATE TRIGGER lose BEFORE INSERT ON api.outbox FOR EACH ROW EXECUTE FUNCTION api.lose()`,
  );
  const { id } = await flow.runs.ask('Did you get that?');
  await shows('api', /holdfast_reemissions_total\{what="run"\} [1-9]/);
  await shows('api', 'holdfast_stuck_runs 1');
  await shows('api', /holdfast_oldest_stuck_run_seconds \d*[1-9]/);
  const health = await (await fetch(`${urls.api}/readyz`)).text();
  expect(health).toContain(`nothing is heard of 1 run, of ${id} for`);
  expect(flow.scene.api.output()).toContain('run is stuck');
  await flow.database.query('DROP TRIGGER lose ON api.outbox');
  // The pauses between two questions have grown: the next one is due now.
  await flow.database.query(
    `UPDATE api.runs SET asks = 1, asked_at = asked_at - interval '1 h' WHERE id = $1`,
    [uuidOf(id as RunId)],
  );
  await flow.runs.completion(id);
  await shows('processor', 'holdfast_repairs_total{what="dispatch"} 1');
  await shows('api', 'holdfast_stuck_runs 0');
});

it('show an outbox that nobody empties', async () => {
  await flow.database.query(
    `UPDATE api.leases SET holder = 'gone', epoch = epoch + 1, until = now() + interval '1 h' WHERE name = 'outbox-relay'`,
  );
  await shows('api', 'holdfast_relay_leading 0');
  const { id } = await flow.runs.ask('Does anybody hear?');
  await flow.database.query(
    `INSERT INTO api.outbox (topic, key, headers, body, size_bytes, parked_at, parked_reason)
     VALUES ('holdfast.run.requested.v1', 'nobody', '{}', '{}', 2, now(), 'by hand')`,
  );
  await shows('api', 'holdfast_outbox_waiting_rows 1');
  await shows('api', /holdfast_outbox_oldest_row_seconds 0*\.?\d*[1-9]/);
  await shows('api', 'holdfast_outbox_parked_rows 1');
  await flow.database.query(`UPDATE api.leases SET until = now() WHERE holder = 'gone'`);
  await flow.runs.completion(id);
  await shows('api', 'holdfast_relay_leading 1');
});

it('all move in this flow, but for those that others hold', () => {
  const still = metricNames.filter((name) => !moved.has(name) && !(name in heldElsewhere));
  expect(still).toEqual([]);
});

/** The place of a run that has just completed stays taken until the next count of unfinished runs. */
async function askOnceThereIsAPlace(question: string): Promise<string> {
  const key = randomUUID();
  return eventually('a place for one more run', async () => {
    const { status, body } = await flow.runs.submit(questionOf(question), key);
    return status === 202 && (body as RunView).id;
  });
}

function questionOf(question: string) {
  return { workflow: 'answer', input: { question } };
}

/** Looks until a line begins with the text or fits the pattern; gauges of the database are read every 10 s. */
async function shows(app: AppName, wanted: string | RegExp): Promise<void> {
  const isShown = async () => {
    const lines = await linesOf(app);
    return lines.some((line) =>
      typeof wanted === 'string' ? line.startsWith(wanted) : wanted.test(line),
    );
  };
  await eventually(`${String(wanted)} of the ${app}`, isShown, patienceMs, lookEveryMs);
}

async function linesOf(app: AppName): Promise<readonly string[]> {
  const lines = (await (await fetch(`${urls[app]}/metrics`)).text()).split('\n');
  for (const line of lines) {
    const [, name, value] =
      /^(holdfast_\w+?)(?:_bucket|_sum|_count)?(?:\{.*\})? (\S+)$/.exec(line) ?? [];
    if (name !== undefined && Number(value) !== 0) moved.add(name);
  }
  return lines;
}
