/**
 * One membership of a consumer group, kept alive over whatever happens to Kafka. All that is kafkajs about a consumer is here.
 *
 * (G1) What kafkajs calls must not throw: a TypeError out of eachBatch ends the consumer while the process stays up, any other
 *      error loops on one offset.
 * (G2) Restarts are ours: kafkajs restarts from a timer that nothing can cancel, and a stop in that window would leave a
 *      member behind that heartbeats for ever. It still tells us which failures pass; any other ends the process.
 * (G3) A commit goes out through the group generation it is built in, or not at all: kafkajs' own commitOffsets repeats an old
 *      position in a new generation, and the broker accepts commits for partitions that a member has lost.
 * (G4) Each start has a client of its own: positions and sockets of the one before are gone with it.
 */
import kafkajs, {
  type Batch,
  type Consumer as KafkaConsumer,
  type EachBatchPayload,
  type Offsets,
} from 'kafkajs';
import { ClientSockets } from '../kafka/client-sockets.js';
import { CLIENT_RETRY, type KafkaConnection } from '../kafka/kafka-connection.js';
import type { FieldLog } from '#libs/process';
import { pause } from '../pause.js';

/** Why these: reliability.md, "Consumer runtime". Heartbeats go out only between fetches. */
const GROUP_SETTINGS = {
  maxWaitTimeInMs: 500,
  heartbeatInterval: 1_500,
  sessionTimeout: 6_000,
  rebalanceTimeout: 30_000,
  maxBytesPerPartition: 128 * 1024,
  allowAutoTopicCreation: false,
} as const;
const REQUEST_TIMEOUT_MS = 10_000;
const RESTART_MS = 1_000;

export interface GroupMemberOptions {
  readonly kafka: KafkaConnection;
  /** Logical names. */
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly log: FieldLog;
  /** By topic name on the cluster. Called before the first batch of that assignment. */
  readonly onJoin: (
    memberId: string,
    assignment: Readonly<Record<string, readonly number[]>>,
  ) => void;
  /** Synchronous by contract: one awaited slow handler stops all fetching from that broker. */
  readonly onBatch: (batch: Batch) => void;
  /** Kafka has answered: a fetch, empty ones too, or a heartbeat. */
  readonly onHeard: () => void;
  /** It is over and will not come back. Called at most once. */
  readonly onDead: (error: Error) => void;
}

export class TopicMissingError extends Error {
  override readonly name = 'TopicMissingError';
  readonly code = 'topic_missing';
  constructor(topics: readonly string[], cause: unknown) {
    super(
      `Some of these topics do not exist: ${topics.join(', ')}. Create the topics first (an explicit step)`,
      { cause },
    );
  }
}

class GenerationMissingError extends Error {
  override readonly name = 'GenerationMissingError';
  readonly code = 'generation_missing';
}

interface Failure {
  readonly error: Error;
  /** kafkajs would have started again. */
  readonly passes: boolean;
}

export class GroupMember {
  private readonly leaving = new AbortController();
  private client: KafkaConsumer | null = null;
  private sockets = new ClientSockets();
  private running: Promise<void> = Promise.resolve();
  private joining: Promise<void> = Promise.resolve();
  private dead = false;
  /** Of the client that runs now: what any of its batches came with commits through its present generation. */
  private generation: EachBatchPayload | null = null;
  /** kafkajs said of the last failure that it would start again. */
  private passes = false;

  constructor(private readonly options: GroupMemberOptions) {}

  /** Resolves when it is about to join. Kafka away: keeps trying until `leave`. @throws TopicMissingError */
  async start(): Promise<void> {
    const client = await this.open('first');
    this.running = this.keepRunning(client).catch((error: unknown) => this.die(asError(error)));
  }

  /** Between a failure and the next start there is nothing to pause; whoever joins again sets it again. */
  setPaused(topic: string, partition: number, paused: boolean): void {
    const target = [{ topic, partitions: [partition] }];
    try {
      if (paused) this.client?.pause(target);
      else this.client?.resume(target);
    } catch (error) {
      this.options.log.debug({ error }, 'there is no group to pause just now');
    }
  }

  /** (G3) Rejects in a rebalance, or while Kafka is away: the next commit names the same positions, or later ones. */
  async commit(offsets: Offsets): Promise<void> {
    if (!this.generation)
      throw new GenerationMissingError('There is no group generation to commit through');
    await this.generation.commitOffsetsIfNecessary(offsets);
  }

  async leave(): Promise<void> {
    this.leaving.abort();
    await this.joining; // kafkajs can't stop a member that is still joining: it would join after the stop
    await this.client?.disconnect().catch((error: unknown) => {
      this.options.log.warn({ error }, 'leaving failed: the session will time out');
    });
    this.sockets.destroy();
    await this.running;
  }

  private async keepRunning(first: KafkaConsumer | null): Promise<void> {
    for (let client = first; client; client = await this.open('again')) {
      const failure = await this.runUntilItFails(client);
      if (this.leaving.signal.aborted) return;
      if (!failure.passes) return this.die(failure.error);
      const { groupId, log } = this.options;
      log.warn({ error: failure.error, groupId }, 'the Kafka client failed: starting again');
      await pause(RESTART_MS * (0.5 + Math.random()), this.leaving.signal);
    }
  }

  /** A client that is connected and subscribed; null when the member leaves first. */
  private async open(which: 'first' | 'again'): Promise<KafkaConsumer | null> {
    const topics = this.options.topics.map((topic) => this.options.kafka.topicName(topic));
    while (!this.leaving.signal.aborted) {
      const client = this.newClient();
      try {
        await client.connect();
        await client.subscribe({ topics, fromBeginning: true });
        this.client = client;
        return client;
      } catch (error) {
        await client.disconnect().catch(() => undefined); // It never got anywhere.
        // A broker that has just come back may not know its topics yet.
        if (which === 'first' && isUnknownTopic(error)) throw new TopicMissingError(topics, error);
        const { groupId, log } = this.options;
        log.warn({ error, groupId }, 'Kafka is away: trying again');
        await pause(RESTART_MS, this.leaving.signal);
      }
    }
    return null;
  }

  private newClient(): KafkaConsumer {
    const { kafka, groupId } = this.options;
    this.sockets.destroy(); // (G4)
    this.sockets = new ClientSockets();
    const client = kafka.newClient({ requestTimeout: REQUEST_TIMEOUT_MS }, this.sockets);
    return client.consumer({
      ...GROUP_SETTINGS,
      groupId: kafka.groupName(groupId),
      retry: {
        ...CLIENT_RETRY,
        // Asked only about failures that pass (G2).
        restartOnFailure: () => {
          this.passes = true;
          return Promise.resolve(false);
        },
      },
    });
  }

  /** Resolves with what ended the client, or when the member leaves. */
  private async runUntilItFails(client: KafkaConsumer): Promise<Failure> {
    const { onJoin, onBatch, onHeard } = this.options;
    const ended = Promise.withResolvers<Failure>();
    this.passes = false;
    client.on(client.events.GROUP_JOIN, ({ payload }) => {
      this.guard(() => onJoin(payload.memberId, payload.memberAssignment));
    });
    client.on(client.events.FETCH, onHeard);
    client.on(client.events.HEARTBEAT, onHeard);
    client.on(client.events.CRASH, ({ payload }) => {
      ended.resolve({ error: payload.error, passes: this.passes });
    });
    const left = () => ended.resolve({ error: new Error('left'), passes: true });
    this.leaving.signal.addEventListener('abort', left, { once: true });
    this.joining = client
      .run({
        autoCommit: false,
        eachBatchAutoResolve: true,
        eachBatch: async (payload) => {
          this.generation = payload;
          this.guard(() => onBatch(payload.batch));
        },
      })
      .catch((error: unknown) => ended.resolve({ error: asError(error), passes: false }));
    const failure = await ended.promise;
    if (!this.leaving.signal.aborted) this.generation = null;
    this.leaving.signal.removeEventListener('abort', left);
    return failure;
  }

  private die(error: Error): void {
    if (this.dead || this.leaving.signal.aborted) return;
    this.dead = true;
    this.options.onDead(error);
  }

  /** (G1) What should never happen ends the process, instead of the fetching. */
  private guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.options.log.error({ error }, 'the consumer runtime failed');
      this.die(asError(error));
    }
  }
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));

function isUnknownTopic(error: unknown): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { KafkaJSProtocolError } = kafkajs;
    if (cause instanceof KafkaJSProtocolError && cause.type === 'UNKNOWN_TOPIC_OR_PARTITION')
      return true;
  }
  return false;
}
