/**
 * One of three brokers is struck dead under load, and comes back. Real: all of it, with a Postgres and three Kafka nodes of this
 * file's own (broker and controller each; three copies, two of them in sync or no write is acknowledged). Stands in: the
 * simulator for OpenAI, with its bill.
 */
import { openOwnServers, type OwnServers } from '../support/own-servers.js';
import { openFlow, type Flow } from '../support/flow.js';
import { startCluster, type KafkaCluster } from '../support/kafka-cluster.js';
import { postgresIn } from '../support/servers.js';
import {
  askAll,
  expectAllUp,
  expectUnbroken,
  untilAccepted,
  untilAtRest,
} from '../support/unbroken.js';

const runs = 120;
const copies = '3';

let cluster: OwnServers<KafkaCluster & { readonly databaseUrl: string }>;
let flow: Flow;

beforeAll(async () => {
  cluster = await openOwnServers(async (place) => {
    const postgres = await postgresIn(place);
    const [kafka, databaseUrl] = await Promise.all([startCluster(place), postgres.start()]);
    return { ...kafka, databaseUrl };
  });
  flow = await openFlow({ processors: 2, env: { HOLDFAST_TOPIC_COPIES: copies } });
}, 240_000);
afterAll(async () => {
  await flow?.close();
  await cluster?.close();
}, 60_000);

const leader = () => cluster.leader();
const follower = async () => {
  const leading = await leader();
  return cluster.nodes.find((node) => node !== leading)!;
};

it.each([
  ['that follows', 1, follower],
  ['that leads the controllers', 2, leader],
])(
  'a broker %s dies under load: runs go on without it, nothing is lost or told in another order, and it may come back',
  async (_which, round, victim) => {
    const questions = Array.from({ length: runs }, (_, number) => `Question ${round}.${number}?`);
    const asking = askAll(flow, questions, 60_000);
    await untilAccepted(flow, (round - 1) * (runs + 1) + runs / 4);
    const broker = await victim();
    await broker.stop();
    const ids = await asking;
    await untilAtRest(flow, 90_000);
    await expectUnbroken(flow, ids);
    await broker.start();
    await cluster.inSync(flow.scene.topicPrefix);
    const later = await askAll(flow, [`And after that, ${round}?`]);
    await untilAtRest(flow, 60_000);
    await expectUnbroken(flow, [...ids, ...later]);
    expectAllUp(flow);
  },
  240_000,
);
