/** A real Apache Kafka broker (KRaft, broker and controller in one process) on Java, run as a child of ours. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { untilKafkaAnswers } from './kafka-readiness.js';
import { repositoryRoot } from './repository.js';
import {
  StackError,
  StackPortInUseError,
  StackPrerequisiteMissingError,
  StackServerStartError,
} from './stack-errors.js';
import { logTail } from './supervisor.js';
import type { Supervisor } from './supervisor.js';

const run = promisify(execFile);
const startLimitMs = 90_000;

export interface KafkaOptions {
  readonly supervisor: Pick<Supervisor, 'start'>;
  readonly jars: string;
  readonly folder: string;
  readonly logFile: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly throwAway: boolean;
  /** Default: a broker that stands alone. */
  readonly cluster?: KafkaCluster;
  readonly signal: AbortSignal;
}

/** What a broker knows of those that it keeps copies with. */
export interface KafkaCluster {
  /** The same for all of them: `newClusterId()`. */
  readonly id: string;
  /** This one, from 1. */
  readonly node: number;
  /** Of all nodes, in order. */
  readonly controllerPorts: readonly number[];
}

/** Resolves with the broker's address once it can produce, and its group coordinator can be asked. */
export async function startKafka(options: KafkaOptions): Promise<string> {
  const { folder, port, signal } = options;
  const properties = `${folder}.properties`;
  await format(options);
  await writeFile(properties, serverProperties({ ...options, logFolder: folder }));
  const child = await options.supervisor.start({
    name: 'Kafka',
    command: javaCommand(process.env),
    args: [...javaArgs(options), 'kafka.Kafka', properties],
    logFile: options.logFile,
    stopSignal: options.throwAway ? 'SIGKILL' : 'SIGTERM',
    graceMs: 20_000,
  });
  const brokers = `127.0.0.1:${port}`;
  const died = new AbortController();
  void child.ended.then(() => died.abort());
  const waiting = AbortSignal.any([signal, died.signal, AbortSignal.timeout(startLimitMs)]);
  try {
    await untilKafkaAnswers(port, waiting);
  } catch (error) {
    signal.throwIfAborted();
    const tail = await logTail(child.logFile);
    if (/Address already in use/.test(tail))
      throw new StackPortInUseError(port, 'Kafka', 'KAFKA_PORT');
    const what = died.signal.aborted ? (await child.ended).how : `was not ready: ${String(error)}`;
    throw new StackServerStartError('Kafka', what, child.logFile, tail);
  }
  child.up();
  return brokers;
}

/** Formats beside the folder, which appears whole or not at all. */
async function format(options: KafkaOptions): Promise<void> {
  const { folder, signal } = options;
  if (await exists(join(folder, 'meta.properties'))) return;
  const [draft, properties] = [`${folder}.new`, `${folder}.new.properties`];
  await Promise.all([folder, draft].map((path) => rm(path, { recursive: true, force: true })));
  await mkdir(draft, { recursive: true });
  await writeFile(properties, serverProperties({ ...options, logFolder: draft }));
  const id = options.cluster?.id ?? newClusterId();
  const args = ['kafka.tools.StorageTool', 'format', '-t', id, '-c', properties];
  try {
    await run(javaCommand(process.env), [...javaArgs(options), ...args], { signal });
    await rename(draft, folder);
  } catch (error) {
    if (signal.aborted) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new StackPrerequisiteMissingError('Java', 'it runs Apache Kafka', { cause: error });
    const output = String((error as { stderr?: string }).stderr ?? error);
    throw new StackError('stack_kafka_format', `Kafka could not format ${folder}:\n${output}`, {
      cause: error,
    });
  } finally {
    await rm(properties, { force: true });
  }
}

export function serverProperties(options: {
  readonly port: number;
  readonly controllerPort: number;
  readonly logFolder: string;
  readonly cluster?: KafkaCluster;
}): string {
  const { port, controllerPort, logFolder, cluster } = options;
  const voters = cluster?.controllerPorts ?? [controllerPort];
  const copies = Math.min(3, voters.length);
  const copiesInSync = Math.ceil(copies / 2);
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': cluster?.node ?? 1,
    'controller.quorum.voters': voters
      .map((voter, index) => `${index + 1}@127.0.0.1:${voter}`)
      .join(','),
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': logFolder,
    'auto.create.topics.enable': false,
    'offsets.topic.num.partitions': 8,
    'min.insync.replicas': copiesInSync,
    'offsets.topic.replication.factor': copies,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': copiesInSync,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': copiesInSync,
    'group.initial.rebalance.delay.ms': 0,
  };
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

export function javaCommand(env: NodeJS.ProcessEnv): string {
  return env.JAVA_HOME ? join(env.JAVA_HOME, 'bin', 'java') : 'java';
}

/** Several brokers share the machine with all that a spec starts: half the memory for each. */
function javaArgs({ jars, cluster }: Pick<KafkaOptions, 'jars' | 'cluster'>): string[] {
  const logging = join(repositoryRoot, 'dev/stack/kafka/log4j2.xml');
  return [
    ...(cluster ? ['-Xms128m', '-Xmx256m'] : ['-Xms256m', '-Xmx512m']),
    ...['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
    ...[`-Dlog4j2.configurationFile=${logging}`, '-cp', join(jars, '*')],
  ];
}

/** As Kafka's own `random-uuid`: 16 bytes in base64url that do not begin with a dash. */
export function newClusterId(): string {
  const id = randomBytes(16).toString('base64url');
  return id.startsWith('-') ? newClusterId() : id;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
