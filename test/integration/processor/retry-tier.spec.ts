/**
 * A retry tier with 5,000 records waiting in it, and the admission behind it. Real: Kafka with the topics as they are made, the
 * consumer of the tiers, the processor's admission, Postgres. Stands in: runs that failed; the records are put into the tier here.
 */
import { randomUUID } from 'node:crypto';
import { RUN_REQUESTED, retryTopics, topicDefinitions, workHeaders } from '#libs/contracts';
import { runIdOf } from '#libs/domain';
import { DelayedConsumer } from '#libs/messaging';
import { workflows } from '#libs/workflows';
import { readWork } from '../../../apps/processor/src/admit-runs/incoming-work.js';
import { aMessage, eventually, kafkaStack, log } from '../messaging/messaging-stack.js';
import { aWork, openProcessorFixture, type ProcessorFixture } from './processor-fixture.js';

const waiting = 5_000;
const [tier] = retryTopics;

let kafka: Awaited<ReturnType<typeof kafkaStack>>;
let fixture: ProcessorFixture;

beforeAll(async () => {
  kafka = await kafkaStack(topicDefinitions().filter(({ name }) => name === tier!.topic));
  fixture = await openProcessorFixture();
});
afterAll(async () => {
  await fixture?.stop();
  await kafka?.close();
});

it('5,000 that wait in one tier at once, all due together, come out of it not before their time, and each makes its run ready once', async () => {
  const { admit } = fixture.processor('one', { maxConnections: 10 });
  const appendedAtMs = new Map<string, number>();
  /** By run: how long after its time in the tier was over, by the broker's clock, which here is ours. */
  const handedLateMs = new Map<string, number>();
  const admissions = new Set<string>();
  let ready = 0;
  const consumer = new DelayedConsumer({
    ...{ kafka: kafka.kafka, groupId: 'spec.retry', tiers: retryTopics.slice(0, 1), log },
    onCrash: (error) => {
      throw error;
    },
    handler: async (decoded) => {
      if (decoded.kind !== 'message') throw new Error(decoded.problem.reason);
      const { message } = decoded;
      const { subject: runId, position } = message;
      const dueAtMs = position.timestamp + tier!.delayMs;
      appendedAtMs.set(runId, position.timestamp);
      handedLateMs.set(runId, Date.now() - dueAtMs);
      const read = readWork(message, workflows);
      if (read.kind !== 'work') throw new Error(read.reason);
      admissions.add((await admit.admit(read.work)).kind);
      ready += 1;
    },
  });
  await consumer.start();
  await consumer.joined;
  const runIds = Array.from({ length: waiting }, () => randomUUID());
  await insertRetrying(runIds);
  await kafka.send(tier!.topic, runIds.map(retryOf));
  await eventually(
    () => ready,
    (count) => count === waiting,
    60_000,
  );
  await consumer.stop({ graceMs: 1_000 });
  const appended = [...appendedAtMs.values()];
  expect(Math.max(...appended) - Math.min(...appended)).toBeLessThan(tier!.delayMs); // all of them waited at once
  expect([...admissions]).toEqual(['make_ready']);
  expect(Math.min(...handedLateMs.values())).toBeGreaterThanOrEqual(0);
  expect(handedLateMs.size).toBe(waiting);
}, 120_000);

const request = (runId: string) => ({ ...aWork().request, runId: runIdOf(runId) });

function retryOf(runId: string) {
  const id = runIdOf(runId);
  const headers = { [workHeaders.dispatch]: '2', [workHeaders.hop]: '0' };
  return aMessage(id, request(runId), { type: RUN_REQUESTED, headers });
}

/** Runs whose first attempt has failed, due when their record comes out. */
async function insertRetrying(runIds: readonly string[]): Promise<void> {
  await fixture.sql(
    `INSERT INTO processor.executions (run_id, tenant, model, priority, workflow, workflow_version, request, origin, status,
       dispatch, max_attempts, next_attempt_at)
     SELECT run_id, 'default', 'gpt-5.2', 1, 'answer', 1, request, $3::json, 'retrying', 2, 5, now()
     FROM unnest($1::uuid[], $2::json[]) AS r (run_id, request)`,
    [runIds, runIds.map((runId) => JSON.stringify(request(runId))), JSON.stringify(aWork().origin)],
  );
}
