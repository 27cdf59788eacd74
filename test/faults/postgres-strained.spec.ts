/**
 * Postgres ends every session again and again, and has no connection to spare. Real: api and processors as processes of their own,
 * Postgres, Kafka. Stands in: the simulator for OpenAI, with its bill.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openFlow, type Flow } from '../support/flow.js';
import {
  askAll,
  expectAllUp,
  expectUnbroken,
  untilAccepted,
  untilAtRest,
} from '../support/unbroken.js';

const runs = 120;
const ends = 6;
const heldMs = 12_000;
/** As few as the settings allow; the relay that leads keeps one of them for itself. */
const fewest = { API_DATABASE_CONNECTIONS: '2', PROCESSOR_DATABASE_CONNECTIONS: '3' };

let flow: Flow;
afterEach(async () => flow?.close());

const questions = Array.from({ length: runs }, (_, number) => `Question ${number}?`);

it('all sessions of the apps are ended six times under load: nothing is lost, nothing is done twice', async () => {
  flow = await openFlow({ processors: 2 });
  const asking = askAll(flow, questions, 60_000);
  await untilAccepted(flow, 10);
  for (let time = 0; time < ends; time += 1) {
    const { rows } = await flow.database.query(END_SESSIONS);
    expect(rows.length).toBeGreaterThan(0);
    await sleep(1_000); // long enough for sessions to be opened again, and to be in the middle of something
  }
  const ids = await asking;
  await untilAtRest(flow, 60_000);
  await expectUnbroken(flow, ids);
  expectAllUp(flow);
}, 180_000);

it('pools as small as they may be, every connection stuck behind a lock for longer than a lease: it heals, and no call is paid twice', async () => {
  flow = await openFlow({ processors: 2, env: fewest });
  const asking = askAll(flow, questions, 60_000);
  await untilAccepted(flow, 10);
  await flow.database.transaction(async (tx) => {
    await tx.query('LOCK TABLE processor.executions, api.runs IN ACCESS EXCLUSIVE MODE');
    await sleep(heldMs);
  });
  const ids = await asking;
  await untilAtRest(flow, 90_000);
  await expectUnbroken(flow, ids);
  expectAllUp(flow);
}, 180_000);

const END_SESSIONS = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND application_name LIKE 'holdfast%' AND pid <> pg_backend_pid()`;
