/** Three brokers that keep copies of each other's data, each its own process, thrown away afterwards. Real: all of it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KafkaConnection, silentLog } from '#libs/messaging';
import { newClusterId, startKafka } from '../../dev/stack/kafka-server.js';
import { provideKafkaJars } from '../../dev/stack/kafka-jars.js';
import { eventually } from './eventually.js';
import type { ServerPlace } from './own-servers.js';
import { Restartable } from './restartable.js';
import { freePort } from './servers.js';

export interface KafkaCluster {
  readonly kafkaBrokers: string;
  readonly nodes: readonly Restartable[];
  /** Which of the nodes leads their controllers: it says who leads what. */
  leader(): Promise<Restartable>;
  /** Resolves when every copy of these topics has all of its log again. */
  inSync(topicPrefix: string): Promise<void>;
}

const nodeNumbers = [1, 2, 3];
const inSyncWithinMs = 60_000;

export async function startCluster({
  supervisor,
  folder,
  log,
  signal,
}: ServerPlace): Promise<KafkaCluster> {
  const jars = await provideKafkaJars(log, signal);
  const [ports, controllerPorts] = await Promise.all([freePorts(), freePorts()]);
  const id = newClusterId();
  const nodes = nodeNumbers.map((node, index) => {
    const [port, controllerPort] = [ports[index]!, controllerPorts[index]!];
    const options = { jars, port, controllerPort, throwAway: true, signal };
    return new Restartable(supervisor, (starter) =>
      startKafka({
        ...{ ...options, supervisor: starter, cluster: { id, node, controllerPorts } },
        folder: folderOf(folder, node),
        logFile: join(folder, `logs/kafka-${node}.log`),
      }),
    );
  });
  const brokers = await Promise.all(nodes.map((node) => node.start()));
  return {
    nodes,
    kafkaBrokers: brokers.join(','),
    leader: async () => nodes[(await leaderOf(folder)) - 1]!,
    inSync: (topicPrefix) => untilInSync(brokers, topicPrefix),
  };
}

/** Kafka writes down whom each node follows; the newest epoch is right. */
async function leaderOf(folder: string): Promise<number> {
  const states = await Promise.all(
    nodeNumbers.map(async (node) => {
      const file = join(folderOf(folder, node), '__cluster_metadata-0/quorum-state');
      return JSON.parse(await readFile(file, 'utf8')) as { leaderId: number; leaderEpoch: number };
    }),
  );
  return states.toSorted((a, b) => b.leaderEpoch - a.leaderEpoch)[0]!.leaderId;
}

async function untilInSync(brokers: readonly string[], topicPrefix: string): Promise<void> {
  const admin = new KafkaConnection({ brokers, clientId: 'outside', log: silentLog })
    .newClient()
    .admin();
  await admin.connect();
  try {
    await eventually(
      'all copies are in sync',
      async () => {
        const { topics } = await admin.fetchTopicMetadata();
        const own = topics.filter(({ name }) => name.startsWith(topicPrefix));
        return own
          .flatMap(({ partitions }) => partitions)
          .every(({ isr, replicas }) => isr.length === replicas.length);
      },
      inSyncWithinMs,
    );
  } finally {
    await admin.disconnect();
  }
}

function folderOf(folder: string, node: number): string {
  return join(folder, `kafka-${node}`);
}

async function freePorts(): Promise<number[]> {
  return Promise.all(nodeNumbers.map(() => freePort('Kafka')));
}
