/** The explicit admin step that makes topics. Nothing in Holdfast creates a topic by writing to it. */
import kafkajs, { type Admin } from 'kafkajs';
import type { KafkaConnection } from './kafka-connection.js';
import { pause } from '../pause.js';
import { withAdmin } from './with-admin.js';

export interface TopicSpec {
  /** Logical name. */
  readonly name: string;
  readonly partitions: number;
  readonly retentionMs: number;
  /** Further topic settings, e.g. `message.timestamp.type`. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface TopicCopies {
  /**
   * Brokers that keep each partition. A write is acknowledged once half of them, rounded up, have it: of three one may die, and
   * nothing that was acknowledged is lost. Default: what the cluster does by itself, its `min.insync.replicas` included.
   */
  readonly replicationFactor?: number;
}

const LEADERS_WITHIN_MS = 30_000;

/**
 * A topic exists, but not as specified. Changing it would move keys between partitions, times between clocks or copies between
 * brokers: a person decides.
 */
export class TopicDiffersError extends Error {
  override readonly name = 'TopicDiffersError';
  readonly code = 'topic_differs';
  constructor(readonly differences: readonly string[]) {
    super(`Topics exist but differ from their specification: ${differences.join('; ')}`);
  }
}

export class TopicLeaderMissingError extends Error {
  override readonly name = 'TopicLeaderMissingError';
  readonly code = 'topic_leader_missing';
  constructor(topics: readonly string[]) {
    super(`No leader within ${LEADERS_WITHIN_MS} ms for partitions of ${topics.join(', ')}`);
  }
}

/**
 * Creates what is missing, checks what exists (partition count, copies and `config`; an operator's own retention is left alone),
 * and returns when every partition has a leader. Running it twice, or twice at once, is harmless.
 * @throws TopicDiffersError, TopicLeaderMissingError
 */
export async function createTopics(
  connection: KafkaConnection,
  definitions: readonly TopicSpec[],
  copies: TopicCopies = {},
): Promise<{ created: string[]; existing: string[] }> {
  const specs = definitions.map((spec) => withCopies(spec, copies));
  return withAdmin(connection, async (admin) => {
    const present = new Set(await admin.listTopics());
    const [existing, missing] = partition(specs, (spec) =>
      present.has(connection.topicName(spec.name)),
    );
    await createMissing(admin, connection, missing);
    await waitForLeaders(admin, connection, specs);
    await checkExisting(admin, connection, existing);
    return { created: missing.map(nameOf), existing: existing.map(nameOf) };
  });
}

type SpecWithCopies = TopicSpec & TopicCopies;

function withCopies(spec: TopicSpec, { replicationFactor }: TopicCopies): SpecWithCopies {
  if (replicationFactor === undefined) return spec;
  const minInSync = String(Math.ceil(replicationFactor / 2));
  return {
    ...spec,
    replicationFactor,
    config: { ...spec.config, 'min.insync.replicas': minInSync },
  };
}

async function createMissing(
  admin: Admin,
  connection: KafkaConnection,
  missing: readonly SpecWithCopies[],
): Promise<void> {
  if (missing.length === 0) return;
  await admin.createTopics({
    waitForLeaders: false,
    topics: missing.map((spec) => ({
      topic: connection.topicName(spec.name),
      numPartitions: spec.partitions,
      replicationFactor: spec.replicationFactor,
      configEntries: Object.entries({
        'retention.ms': String(spec.retentionMs),
        ...spec.config,
      }).map(([name, value]) => ({ name, value })),
    })),
  });
}

async function waitForLeaders(
  admin: Admin,
  connection: KafkaConnection,
  specs: readonly TopicSpec[],
): Promise<void> {
  const deadline = performance.now() + LEADERS_WITHIN_MS;
  for (;;) {
    const leaderless = await topicsWithoutLeaders(admin, connection, specs);
    if (leaderless.length === 0) return;
    if (performance.now() > deadline) throw new TopicLeaderMissingError(leaderless);
    await pause(50);
  }
}

/**
 * The controller names a leader before the broker acts as one: until it answers for the log's end, producers and consumers
 * would be turned away. A fresh topic is also unknown to the broker for some milliseconds. Both count as no leader yet.
 */
async function topicsWithoutLeaders(
  admin: Admin,
  connection: KafkaConnection,
  specs: readonly TopicSpec[],
): Promise<string[]> {
  const names = specs.map((spec) => connection.topicName(spec.name));
  const answers = await Promise.all(names.map((name) => answersForItsEnd(admin, name)));
  return names.filter((_, index) => !answers[index]);
}

async function answersForItsEnd(admin: Admin, topicName: string): Promise<boolean> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topicName] });
    const answered = await admin.fetchTopicOffsets(topicName);
    return answered.length > 0 && answered.length === topics[0]?.partitions.length;
  } catch (error) {
    if (error instanceof TypeError) return false; // kafkajs 2.2.4 trips where it knows no leader at all: another broker's word is older
    if (error instanceof kafkajs.KafkaJSError && isPassing(error)) return false;
    throw error;
  }
}

/** kafkajs wraps what it gave up repeating. */
function isPassing(error: kafkajs.KafkaJSError): boolean {
  const { cause } = error;
  return error.retriable || (cause instanceof kafkajs.KafkaJSError && cause.retriable);
}

async function checkExisting(
  admin: Admin,
  connection: KafkaConnection,
  existing: readonly SpecWithCopies[],
): Promise<void> {
  if (existing.length === 0) return;
  const names = existing.map((spec) => connection.topicName(spec.name));
  const { topics } = await admin.fetchTopicMetadata({ topics: names });
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: names.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
  });
  const differences = existing.flatMap((spec) => {
    const name = connection.topicName(spec.name);
    const partitions = topics.find((topic) => topic.name === name)?.partitions ?? [];
    const entries =
      resources.find((resource) => resource.resourceName === name)?.configEntries ?? [];
    const settings = new Map(entries.map((entry) => [entry.configName, entry.configValue]));
    const replicas = Math.min(...partitions.map((each) => each.replicas.length));
    return differencesOf(spec, { partitions: partitions.length, replicas, settings });
  });
  if (differences.length > 0) throw new TopicDiffersError(differences);
}

/** Pure: what stands on the cluster against what was asked for. */
export function differencesOf(
  spec: SpecWithCopies,
  found: { partitions: number; replicas: number; settings: ReadonlyMap<string, string> },
): string[] {
  const differences: string[] = [];
  if (found.partitions !== spec.partitions) {
    differences.push(`${spec.name} has ${found.partitions} partitions, wanted ${spec.partitions}`);
  }
  const { replicationFactor = found.replicas } = spec;
  if (found.replicas !== replicationFactor) {
    differences.push(`${spec.name} has ${found.replicas} copies, wanted ${replicationFactor}`);
  }
  for (const [name, wanted] of Object.entries(spec.config ?? {})) {
    const value = found.settings.get(name);
    if (value !== wanted) differences.push(`${spec.name} has ${name}=${value}, wanted ${wanted}`);
  }
  return differences;
}

const nameOf = (spec: TopicSpec) => spec.name;

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}
