/**
 * 10,000 records that are wrong in some way, on every topic that Holdfast reads, between good runs. Real: api and processor as
 * processes of their own, Postgres, Kafka. Stands in: the simulator for OpenAI; senders' timestamps for the time that records wait
 * in their retry tiers. Each record is answered for: by what became of it, or by the reason why it was refused.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { consumerGroups, REQUEST_RUN, retryTopics, topics } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { collectFacts } from '../oracle/collect-facts.js';
import type { Facts } from '../oracle/facts.js';
import { judge } from '../oracle/judge.js';
import { fuzzSeed } from '../fuzz/fuzz-seed.js';
import { mutatedRecords } from '../fuzz/mutated-records.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { headerOf, placeOf, type NewRecord, type SeenRecord } from '../support/topic-watch.js';
import { askAll } from '../support/unbroken.js';

const partitions = 12;
const retries = retryTopics.map(({ topic }) => topic);
const amounts = [
  ...[topics.runRequested, topics.runCommands].map((topic) => [topic, 3_000] as const),
  ...retries.map((topic) => [topic, 500] as const),
  [topics.runEvents, 2_000] as const,
];
/** A send must stay under what the broker takes at once; some records have a megabyte. */
const perSend = 40;
/** Longer than any tier lets a record wait. */
const waitedMs = 1_000_000;

let flow: Flow;
/** What those that ended said last. */
const died: string[] = [];
beforeAll(async () => {
  flow = await openFlow({ env: { API_COMMAND_SOURCES: '/shop=default' } });
  await flow.watch.letSendersStamp(retries);
  for (const app of [flow.scene.api, ...flow.scene.processors])
    void app.exited.then(() => died.push(app.output().slice(-2_000)));
});
afterAll(async () => flow?.close());

it(`seed ${fuzzSeed}: no process dies, no partition stands still, and every record is answered for`, async () => {
  const sent = await sendAll();
  const between = await asked('between', 60);
  await settled();

  const behind = await asked('behind', 150);
  const commanded = await commandOnEachPartition();
  await settled();
  await untilCompleted([...between, ...behind, ...commanded]);
  await flow.published(60_000);

  expect(new Set(behind.flatMap(partitionsOf)).size).toBe(partitions);
  expect(died).toEqual([]);
  expect(fuzzed()).toHaveLength(sent);
  expect(await unanswered()).toEqual([]);
  expect(judge(await factsOf([...between, ...behind]))).toEqual([]);
}, 240_000);

async function sendAll(): Promise<number> {
  let sent = 0;
  for (const [topic, amount] of amounts) {
    const like = topic.includes('.retry.') ? retries[0]! : topic;
    const records = fc.sample(mutatedRecords(like), { seed: fuzzSeed, numRuns: amount });
    const batch = records.map(({ headers, ...record }): NewRecord => {
      const timestamp = String(Date.now() - waitedMs);
      const numbered = { ...headers, fuzz: String(sent) };
      return { topic, partition: sent++ % partitions, ...record, timestamp, headers: numbered };
    });
    for (let from = 0; from < batch.length; from += perSend)
      await flow.watch.send(batch.slice(from, from + perSend));
  }
  return sent;
}

/** All groups are at the ends of their topics. @throws what the processes said last of each group that is not */
async function settled(): Promise<void> {
  const all = Object.values(consumerGroups).map(async (group) => {
    await flow.watch.settledBy(group, 90_000).catch((cause: unknown) => {
      const outputs = [flow.scene.api, ...flow.scene.processors].map((app) => app.output());
      const said = outputs.join('\n').split('\n');
      const last = said.filter((line) => line.includes(`"${group}"`)).slice(-3);
      throw new Error([...died, ...last].join('\n'), { cause });
    });
  });
  const broken = (await Promise.allSettled(all)).flatMap((each) =>
    each.status === 'rejected' ? [each.reason as Error] : [],
  );
  if (broken.length > 0) throw new AggregateError(broken, broken.map(String).join('\n'));
}

function asked(when: string, amount: number): Promise<string[]> {
  return askAll(
    flow,
    Array.from({ length: amount }, (_, number) => `What is number ${number}, ${when}?`),
  );
}

/** Behind all that was sent there. @returns the runs */
async function commandOnEachPartition(): Promise<string[]> {
  const keys = Array.from({ length: partitions }, () => randomUUID());
  await flow.watch.send(
    keys.map((idempotencyKey, partition) => {
      const data = { idempotencyKey, workflow: 'answer', input: { question: idempotencyKey } };
      const headers = {
        ...{ ce_specversion: '1.0', ce_id: randomUUID(), ce_source: '/shop', ce_subject: 'fuzz' },
        ...{ ce_type: REQUEST_RUN, ce_time: new Date().toISOString() },
      };
      const [key, value] = [Buffer.from(idempotencyKey), Buffer.from(JSON.stringify(data))];
      return { topic: topics.runCommands, partition, key, value, headers };
    }),
  );
  await settled();
  const rows = await flow.database.query<{ id: string }>(
    `SELECT 'run_' || id AS id FROM api.runs WHERE idempotency_key = ANY($1)`,
    [keys],
  );
  expect(rows.rows).toHaveLength(partitions);
  return rows.rows.map(({ id }) => id);
}

async function untilCompleted(ids: readonly string[]): Promise<void> {
  await eventually('the good runs are completed', async () => {
    const { rows } = await flow.database.query<{ open: number }>(
      `SELECT count(*)::int AS open FROM api.runs WHERE 'run_' || id = ANY($1) AND status <> 'completed'`,
      [ids],
    );
    return rows[0]?.open === 0;
  });
}

function partitionsOf(id: string): number[] {
  return flow.watch.of(topics.runRequested, id).map(({ partition }) => partition);
}

function fuzzed(): SeenRecord[] {
  return flow.watch.seen.filter(({ headers }) => headers.fuzz !== undefined);
}

/** Records of which nobody can tell what became of them. */
async function unanswered(): Promise<object[]> {
  const places = new Set([...refusedPlaces(), ...(await parkedPlaces())]);
  const effects = await effectsInTables();
  return fuzzed().flatMap((record) => {
    const { topic, partition, offset } = record;
    if (places.has(`${placeOf(topic, partition)}/${offset}`)) return [];
    if (effectsOf(record).some((effect) => effects.has(effect))) return [];
    if (isForNobody(record)) return [];
    return [{ topic, partition, offset, headers: record.headers, value: String(record.value) }];
  });
}

/** Each dead letter says which record it is about, and why it was refused. */
function refusedPlaces(): string[] {
  const isLetter = ({ topic }: SeenRecord) =>
    topic === topics.runRequestedDeadLetters || topic === topics.runCommandsDeadLetters;
  return flow.watch.seen.filter(isLetter).map((letter) => {
    expect(headerOf(letter, 'x-holdfast-error-code')).toMatch(/^[a-z_]+$/);
    expect(headerOf(letter, 'x-holdfast-error-message')).toMatch(/\S/);
    const place = ['topic', 'partition', 'offset'];
    return place.map((part) => headerOf(letter, `x-holdfast-original-${part}`)).join('/');
  });
}

async function parkedPlaces(): Promise<string[]> {
  const { rows } = await flow.database.query<{ place: string }>(
    `SELECT topic || '/' || "partition" || '/' || "offset" AS place FROM api.parked_events
     WHERE reason IN ('gap', 'unknown_run') OR problem <> ''`,
  );
  return rows.map(({ place }) => place);
}

async function effectsInTables(): Promise<ReadonlySet<string>> {
  const { rows } = await flow.database.query<{ effect: string }>(
    `SELECT 'run_' || run_id AS effect FROM processor.executions
     UNION ALL SELECT 'dec_' || decision_id FROM processor.decisions
     UNION ALL SELECT 'run_' || run_id || ' ' || version FROM api.run_events
     UNION ALL SELECT 'key ' || idempotency_key FROM api.runs WHERE idempotency_key IS NOT NULL`,
  );
  return new Set(rows.map(({ effect }) => effect));
}

/** What a record that can be read would have left in the tables. */
function effectsOf({ topic, value }: SeenRecord): string[] {
  const data = JSON.parse(String(value)) as Record<string, unknown>;
  const of = (name: string) => String(data[name]);
  if (topic === topics.runCommands) return [`key ${of('idempotencyKey')}`];
  if (topic === topics.runEvents) return [`${of('runId')} ${of('version')}`];
  return 'decisionId' in data ? [of('decisionId')] : [of('runId')];
}

/** A retry of a run that there is not: it changes nothing, as if it had come again. */
function isForNobody(record: SeenRecord): boolean {
  return record.topic !== topics.runEvents && Number(lastOf(record, 'x-holdfast-dispatch')) > 1;
}

function lastOf({ headers }: SeenRecord, name: string): string | undefined {
  const value = headers[name];
  return (Array.isArray(value) ? value.at(-1) : value)?.toString();
}

/** Of the good runs: what strangers say of runs that are none is no breach. */
async function factsOf(ids: readonly string[]): Promise<Facts> {
  const uuids = new Set(ids.map((id) => uuidOf(id as RunId)));
  const facts = await collectFacts({
    ...{ database: flow.database, simulator: flow.simulator, deliveries: [], recoveriesMs: [] },
    records: flow.watch.seen.filter(({ key }) => ids.includes(String(key))),
    answers: [...uuids].map((runId) => ({ key: runId, runId })),
  });
  const ours = <T extends { readonly runId: string }>(all: readonly T[]) =>
    all.filter(({ runId }) => uuids.has(runId));
  return {
    ...facts,
    views: ours(facts.views).map((view) => ({ ...view, key: null })),
    executions: ours(facts.executions),
    attempts: ours(facts.attempts),
    calls: ours(facts.calls),
    charges: ours(facts.charges),
  };
}
