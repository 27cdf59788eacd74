/**
 * Kafka and Postgres struck dead under load, and started again on their data. Real: all of it, with a Kafka and a Postgres of this
 * file's own. Stands in: the simulator for OpenAI, with its bill.
 */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Supervisor } from '../../dev/stack/supervisor.js';
import { makeTemplate } from '../../dev/test/template-database.js';
import { startServers, type StormServers } from '../storm/servers.js';
import { openFlow, type Flow } from '../support/flow.js';
import { askAll, expectUnbroken, untilAtRest } from '../support/unbroken.js';

const runs = 150;

const shared = { ...process.env };
const silent = () => undefined;
let supervisor: Supervisor;
let servers: StormServers;
let flow: Flow;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-servers-'));
  await chmod(folder, 0o711); // started by root, Postgres runs as another user, who must get in
  supervisor = await Supervisor.open(folder, silent);
  supervisor.removeInTheEnd(folder);
  const signal = AbortSignal.timeout(120_000);
  servers = await startServers(supervisor, folder, silent, signal);
  const { databaseUrl, kafkaBrokers } = servers;
  const { name } = await makeTemplate(databaseUrl, kafkaBrokers, signal);
  process.env.HOLDFAST_TEST_DATABASE_URL = databaseUrl;
  process.env.HOLDFAST_TEST_KAFKA = kafkaBrokers;
  process.env.HOLDFAST_TEST_TEMPLATE = name;
  flow = await openFlow({ processors: 2 });
}, 150_000);
afterAll(async () => {
  await flow?.close();
  await supervisor?.close();
  Object.assign(process.env, shared);
}, 60_000);

it.each([
  ['Kafka', () => servers.restartKafka()],
  ['Postgres', () => servers.restartPostgres()],
])(
  '%s dies under load and comes back: nothing is lost, nothing is done twice',
  async (name, restart) => {
    const questions = Array.from({ length: runs }, (_, number) => `${name}, question ${number}?`);
    const before = await askAll(flow, questions.slice(0, runs / 2));
    await restart();
    const after = await askAll(flow, questions.slice(runs / 2));
    await untilAtRest(flow, 90_000);
    await expectUnbroken(flow, [...before, ...after]);
  },
  180_000,
);
