/**
 * A processor that goes away: killed, killed before it could admit, drained. Real: api and processors as processes of their own,
 * the signals sent to them, Postgres, Kafka. Stands in: the simulator for OpenAI, with a charge counter.
 */
import { topics, consumerGroups } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { storyOf } from '../support/run-story.js';
import { sections, slowTender } from '../support/slow-tender.js';
import { placeOf } from '../support/topic-watch.js';

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ processors: 2, env: { PROCESSOR_DRAIN_MS: '1000' } });
});
afterAll(async () => flow?.close());
/** Two that live, whatever the spec before did to them. */
beforeEach(async () => {
  const living = flow.scene.processors.filter(({ pid }) => isAlive(pid)).length;
  for (let missing = 2 - living; missing > 0; missing--) await flow.scene.startProcessor();
});
afterEach(async () => flow.simulator.clearScript());

it('kill -9 in the middle of 12 sections: another goes on within 15 s, new work within 8 s, each section is paid once', async () => {
  const { runs, simulator, watch } = flow;
  const id = await slowTender(flow);
  const owner = await flow.ownerOf(id);
  const before = await runs.history(id);
  await owner.killHard();
  const killedAt = performance.now();
  await simulator.finish();

  const asked = await Promise.all(['a', 'b', 'c', 'd'].map((what) => runs.ask(`What is ${what}?`)));
  await Promise.all(asked.map((run) => runs.completion(run.id)));
  expect(performance.now() - killedAt).toBeLessThan(8_000);
  await runs.streamUntil(id, 'sign of life', ({ version }) => version > before.length);
  expect(performance.now() - killedAt).toBeLessThan(15_000);

  const told = await runs.completion(id);
  expect(told.map(({ type }) => type)).toContain('dev.holdfast.run.started.v1');
  const charges = await simulator.chargesOf(id);
  expect(Object.values(charges)).toEqual(Array(sections).fill(1));
  expect(await simulator.callsOf(id)).toHaveLength(sections); // not even asked for again
  await flow.published();
  expect((await storyOf(watch, id)).at(-1)?.name).toBe('RunCompleted');
  expect((await runs.view(id)).run).toMatchObject({ attempt: 1, status: 'completed' });
  expect(await workersOf(id)).toEqual([
    { pid: owner.pid, outcome: 'lease_lost' },
    { pid: survivorOf(owner.pid), outcome: 'completed' },
  ]);
});

it('killed with a run that it could not admit yet: the offset was not committed, the run is not lost', async () => {
  const { runs, watch, database } = flow;
  const id = await whileNobodyWritesExecutions(async () => {
    const run = await runs.ask('Is a parent company guarantee asked for?');
    const { topic, partition, offset } = await watch.first('the request', (record) => {
      return record.topic === topics.runRequested && record.key?.toString() === run.id;
    });
    // Behind it comes one that needs no admission. Once it is dealt with, a commit that does not wait would pass the run.
    const behind = { key: Buffer.from('behind'), value: Buffer.from('no JSON'), headers: {} };
    await watch.send([{ topic, partition, ...behind }]);
    await watch.first('the dead letter of the record behind it', (record) => {
      return record.topic === topics.runRequestedDeadLetters && record.key?.toString() === 'behind';
    });
    const lookAtCommits = async () => {
      const committed = await watch.committed(consumerGroups.admitRuns, [topic]);
      return committed.get(placeOf(topic, partition)) ?? -1n;
    };
    for (const position of await sampled(1_000, lookAtCommits))
      expect(position).toBeLessThanOrEqual(BigInt(offset));
    await Promise.all(flow.scene.processors.map((processor) => processor.killHard()));
    return run.id;
  });
  const { rows } = await database.query(`SELECT FROM processor.executions WHERE run_id = $1`, [
    uuidOf(id as RunId),
  ]);
  expect(rows).toEqual([]); // it was not admitted: only the topic has it
  await flow.scene.startProcessor();
  await runs.completion(id);
});

it('SIGTERM in the middle of 12 sections: it gives the run back and ends with 0, another finishes it, nothing is paid twice', async () => {
  const { runs, simulator, watch, database } = flow;
  const id = await slowTender(flow);
  const owner = await flow.ownerOf(id);
  expect(await owner.stop()).toEqual({ code: 0, signal: null });
  const stoppedAt = performance.now();
  const next = await flow.ownerOf(id);
  expect(performance.now() - stoppedAt).toBeLessThan(3_000); // given back: nobody waited for a lease to run out
  expect(next.pid).not.toBe(owner.pid);

  await simulator.finish();
  await runs.completion(id);
  expect(Object.values(await simulator.chargesOf(id))).toEqual(Array(sections).fill(1));
  expect(await simulator.callsOf(id)).toHaveLength(sections);
  await flow.published();
  expect((await storyOf(watch, id)).at(-1)?.name).toBe('RunCompleted');
  expect((await runs.view(id)).run).toMatchObject({ attempt: 1, failure: null });
  expect(await workersOf(id)).toEqual([
    { pid: owner.pid, outcome: 'released' },
    { pid: next.pid, outcome: 'completed' },
  ]);
  const { rows } = await database.query<{ saved: number }>(
    `SELECT count(*)::int AS saved FROM processor.check_points WHERE run_id = $1`,
    [uuidOf(id as RunId)],
  );
  expect(rows).toEqual([{ saved: sections }]);
});

it('finished sections stay finished by their check-points alone, should the ledger have forgotten their calls', async () => {
  const { runs, simulator, database } = flow;
  const id = await slowTender(flow);
  const owner = await flow.ownerOf(id);
  await owner.stop();
  const { rowCount } = await database.query(
    `DELETE FROM processor.calls c USING processor.check_points p
     WHERE c.run_id = $1 AND (p.run_id, p.step, p.item) = (c.run_id, c.step, c.item)`,
    [uuidOf(id as RunId)],
  );
  expect(rowCount).toBeGreaterThanOrEqual(3);
  await simulator.finish();
  await runs.completion(id);
  expect(Object.values(await simulator.chargesOf(id))).toEqual(Array(sections).fill(1));
});

/** Who carried the run, in order, and how it left each. */
async function workersOf(runId: string): Promise<object[]> {
  const { rows } = await flow.database.query<{ worker: string; outcome: string }>(
    `SELECT worker, outcome FROM processor.attempts WHERE run_id = $1 ORDER BY fence`,
    [uuidOf(runId as RunId)],
  );
  return rows.map(({ worker, outcome }) => ({ pid: Number(worker.split('.').at(-2)), outcome }));
}

function survivorOf(pid: number): number | undefined {
  return flow.scene.processors.find((processor) => processor.pid !== pid)?.pid;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function whileNobodyWritesExecutions<T>(work: () => Promise<T>): Promise<T> {
  return flow.database.transaction(async (tx) => {
    await tx.query('LOCK TABLE processor.executions IN EXCLUSIVE MODE');
    return work();
  });
}

/** All that was seen in so long a time: for what must not happen. */
async function sampled<T>(forMs: number, look: () => Promise<T>): Promise<T[]> {
  const seen: T[] = [];
  const until = performance.now() + forMs;
  await eventually('the end of the time to look', async () => {
    seen.push(await look());
    return performance.now() >= until;
  });
  return seen;
}
