/**
 * The consumer under `Consumer` and `DelayedConsumer`: what kafkajs 2.2.4 gives, made dependable.
 *
 * (C1) Nothing is awaited in eachBatch and nothing is thrown out of it: an awaited slow handler stops all fetching from that
 *      broker, a TypeError ends the consumer while the process stays up, any other error loops on one offset.
 * (C2) A record is settled when its handler resolves, and by nothing else. A rejection hands it over again.
 * (C3) Records of one key are handed over in order, the next after the one before is settled; other keys do not wait.
 * (C4) A commit names only partitions owned now, and only what was settled here. It goes out from a task of its own, one at a
 *      time, through the group generation it was built in: the broker accepts commits for partitions that a member has
 *      lost, and kafkajs' own retries would carry an old position into a new generation.
 * (C5) Every join opens a new assignment epoch: partitions lost are forgotten with what was not begun; partitions kept keep
 *      their tracker, unless the member id is new, for then someone else may have owned them in between.
 * (C6) Pauses survive rejoins in kafkajs: each join sets every partition's pause anew.
 * (C7) Stop: take nothing more → let what is begun settle → commit → leave. A commit after the leave is dropped in silence.
 */
import kafkajs, {
  type Consumer as KafkaConsumer,
  type EachBatchPayload,
  type KafkaMessage,
} from 'kafkajs';
import { decodeRecord, type RawRecord } from '../envelope/decode-record.js';
import { MAX_MESSAGE_BYTES, type Decoded } from '../envelope/message.js';
import { errorFields } from '../log.js';
import { pause, within } from '../pause.js';
import { CLIENT_RETRY } from '../kafka/kafka-connection.js';
import type { ConsumerOptions, ConsumerStatus } from './consumer-options.js';
import { decideFlow, redeliveryDelayMs, type FlowLimits } from './decide-flow.js';
import type { HandOver } from './hand-over.js';
import { KeyLanes } from './key-lanes.js';
import { OffsetTracker } from './offset-tracker.js';

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
const COMMIT_EVERY_MS = 250;
const COMMIT_EVERY_RECORDS = 200;
const CONNECT_RETRY_MS = 1_000;
const LEAVE_WITHIN_MS = 10_000;
const SAY_FAULTS_EVERY_MS = 5_000;

export interface HeldRecord {
  readonly partition: OwnedPartition;
  readonly offset: bigint;
  readonly sizeBytes: number;
  readonly lane: string | null;
  readonly decoded: Decoded;
}

interface OwnedPartition {
  /** Name on the cluster. */
  readonly topicName: string;
  readonly topic: string;
  readonly partition: number;
  readonly tracker: OffsetTracker;
  /** Fires when the partition is lost. */
  readonly lost: AbortController;
  bytes: number;
  paused: boolean;
  /** The end of the log at the last fetch; null before the first. */
  highWatermark: bigint | null;
}

export interface RuntimeOptions extends ConsumerOptions {
  readonly topics: readonly string[];
  readonly dueAtMs: (decoded: Decoded) => number;
  readonly handOver: (release: (record: HeldRecord) => void) => HandOver<HeldRecord>;
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

export class ConsumerStoppedError extends Error {
  override readonly name = 'ConsumerStoppedError';
  readonly code = 'consumer_stopped';
}

export class ConsumerRuntime {
  /** Resolves at the first assignment; rejects if the consumer crashes or stops before. */
  readonly joined: Promise<void>;
  private readonly settleJoined: PromiseWithResolvers<void>;
  private readonly options: RuntimeOptions;
  private readonly limits: FlowLimits;
  private readonly lanes = new KeyLanes();
  private readonly handOver: HandOver<HeldRecord>;
  private readonly stopping = new AbortController();
  private owned = new Map<string, OwnedPartition>();
  private memberId: string | null = null;
  private epoch = 0;
  private client: KafkaConsumer | null = null;
  private running: Promise<void> = Promise.resolve();
  private sendCommit: EachBatchPayload['commitOffsetsIfNecessary'] | null = null;
  private committing: Promise<void> | null = null;
  private commitTimer: NodeJS.Timeout | null = null;
  private settledSinceCommit = 0;
  private inWork = 0;
  private onIdle: (() => void) | null = null;
  private stopped: Promise<void> | null = null;
  private crashed = false;
  private faults = 0;
  private saidFaultsAtMs = -Infinity;

  constructor(options: RuntimeOptions) {
    this.options = options;
    this.limits = {
      maxBuffered: options.maxBuffered ?? 2_000,
      maxBufferedBytes: options.maxBufferedBytes ?? 8 * 1024 * 1024,
    };
    this.handOver = options.handOver((record) => {
      this.lanes.run(record.lane, () => this.work(record));
    });
    this.settleJoined = Promise.withResolvers<void>();
    this.joined = this.settleJoined.promise;
    this.joined.catch(() => undefined); // Whoever waits for it hears of it; nobody has to.
  }

  /** Resolves when the group is being joined. Kafka away: keeps trying until `stop`. @throws TopicMissingError */
  async start(): Promise<void> {
    const { kafka, groupId, topics } = this.options;
    const client = kafka.newClient({ requestTimeout: REQUEST_TIMEOUT_MS }).consumer({
      ...GROUP_SETTINGS,
      retry: CLIENT_RETRY,
      groupId: kafka.groupName(groupId),
    });
    this.client = client;
    client.on(client.events.GROUP_JOIN, ({ payload }) => {
      this.guard(() => this.onJoin(payload.memberId, payload.memberAssignment));
    });
    client.on(client.events.CRASH, ({ payload }) => {
      this.guard(() => this.onClientCrash(payload.error, payload.restart));
    });
    await this.subscribe(
      client,
      topics.map((topic) => kafka.topicName(topic)),
    );
    if (this.stopping.signal.aborted) return;
    this.running = client
      .run({
        autoCommit: false,
        eachBatchAutoResolve: true,
        eachBatch: async (payload) => this.guard(() => this.onBatch(payload)),
      })
      .catch((error: unknown) => this.crash(asError(error)));
    this.commitTimer = setInterval(() => void this.commit(), COMMIT_EVERY_MS);
  }

  /** (C7) Resolves when the group is left, after at most `graceMs` for the handlers and some seconds for Kafka. */
  stop({ graceMs }: { graceMs: number }): Promise<void> {
    this.stopped ??= this.drain(graceMs);
    return this.stopped;
  }

  status(): ConsumerStatus {
    return {
      joined: this.epoch > 0 && !this.crashed && !this.stopping.signal.aborted,
      assignmentEpoch: this.epoch,
      inWork: this.inWork,
      waiting: this.handOver.waiting,
      faults: this.faults,
      partitions: [...this.owned.values()].map(
        ({ topic, partition, tracker, paused, highWatermark }) => ({
          topic,
          partition,
          paused,
          unsettled: tracker.unsettled,
          lag: highWatermark === null ? null : Number(highWatermark - tracker.position),
        }),
      ),
    };
  }

  private async subscribe(client: KafkaConsumer, topics: string[]): Promise<void> {
    while (!this.stopping.signal.aborted) {
      try {
        await client.connect();
        return await client.subscribe({ topics, fromBeginning: true });
      } catch (error) {
        if (isUnknownTopic(error)) {
          await client.disconnect().catch(() => undefined);
          throw new TopicMissingError(topics, error);
        }
        this.options.log.warn(
          { ...errorFields(error), groupId: this.options.groupId },
          'Kafka is away: trying again',
        );
        await pause(CONNECT_RETRY_MS, this.stopping.signal);
      }
    }
  }

  // ---- assignment ------------------------------------------------------------------------------------------------------

  /** (C5) */
  private onJoin(memberId: string, assignment: Readonly<Record<string, readonly number[]>>): void {
    const sameMember = memberId === this.memberId;
    const before = this.owned;
    this.memberId = memberId;
    this.epoch += 1;
    this.owned = new Map();
    for (const [topicName, partitions] of Object.entries(assignment)) {
      for (const partition of partitions) {
        const key = partitionKey(topicName, partition);
        const kept = sameMember ? before.get(key) : undefined;
        this.owned.set(key, kept ?? this.newPartition(topicName, partition));
      }
    }
    for (const [key, partition] of before) {
      if (this.owned.get(key) !== partition) partition.lost.abort();
    }
    this.handOver.forget(({ partition }) => partition.lost.signal.aborted);
    for (const partition of this.owned.values()) this.setPaused(partition, partition.paused); // (C6)
    this.options.log.info(
      { groupId: this.options.groupId, epoch: this.epoch, partitions: this.owned.size },
      'assignment taken',
    );
    this.settleJoined.resolve();
  }

  private newPartition(topicName: string, partition: number): OwnedPartition {
    return {
      topicName,
      topic: this.options.kafka.logicalTopic(topicName),
      partition,
      tracker: new OffsetTracker(),
      lost: new AbortController(),
      bytes: 0,
      paused: false,
      highWatermark: null,
    };
  }

  // ---- records ---------------------------------------------------------------------------------------------------------

  /** (C1) Synchronous: decode, note, hand over. */
  private onBatch(payload: EachBatchPayload): void {
    const { batch } = payload;
    const partition = this.owned.get(partitionKey(batch.topic, batch.partition));
    if (!partition || this.stopping.signal.aborted) return;
    this.sendCommit = (offsets) => payload.commitOffsetsIfNecessary(offsets);
    partition.highWatermark = BigInt(batch.highWatermark);
    const offsets = batch.messages.map(({ offset }) => BigInt(offset));
    const fresh = new Set(partition.tracker.accept(offsets, BigInt(batch.lastOffset())));
    const records = batch.messages
      .map((message, index) => this.hold(partition, message, offsets[index] ?? 0n))
      .filter(({ offset }) => fresh.has(offset));
    for (const record of records) partition.bytes += record.sizeBytes;
    for (const record of records) this.handOver.push(record, this.options.dueAtMs(record.decoded));
    this.regulate(partition);
  }

  private hold(partition: OwnedPartition, message: KafkaMessage, offset: bigint): HeldRecord {
    const { topic, partition: number } = partition;
    const { key, value } = message;
    const record: RawRecord = {
      ...message,
      topic,
      partition: number,
      headers: message.headers ?? {},
    };
    return {
      partition,
      offset,
      sizeBytes: (key?.length ?? 0) + (value?.length ?? 0),
      lane: key === null ? null : `${topic}\0${key.toString('latin1')}`,
      decoded: decodeRecord(record, {
        maxMessageBytes: this.options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
      }),
    };
  }

  /** (C2) Ends when the record is settled, or is no longer ours to work on. Never rejects. */
  private async work(record: HeldRecord): Promise<void> {
    const { signal: lost } = record.partition.lost;
    const { signal: stopping } = this.stopping;
    for (let attempt = 1; !lost.aborted && !stopping.aborted; attempt += 1) {
      if (await this.handled(record, attempt)) return this.settle(record);
      await pause(redeliveryDelayMs(attempt, Math.random()), AbortSignal.any([lost, stopping]));
    }
  }

  private async handled({ decoded }: HeldRecord, attempt: number): Promise<boolean> {
    this.inWork += 1;
    try {
      await this.options.handler(decoded);
      return true;
    } catch (error) {
      this.reportFault(error, decoded, attempt);
      return false;
    } finally {
      this.inWork -= 1;
      if (this.inWork === 0) this.onIdle?.();
    }
  }

  private settle({ partition, offset, sizeBytes }: HeldRecord): void {
    partition.tracker.settle(offset);
    partition.bytes -= sizeBytes;
    if (partition.lost.signal.aborted) return;
    this.settledSinceCommit += 1;
    if (this.settledSinceCommit === COMMIT_EVERY_RECORDS) setImmediate(() => void this.commit());
    this.regulate(partition);
  }

  private reportFault(error: unknown, decoded: Decoded, attempt: number): void {
    this.faults += 1;
    // With the database away every record in hand fails: one line says it.
    if (performance.now() - this.saidFaultsAtMs < SAY_FAULTS_EVERY_MS) return;
    this.saidFaultsAtMs = performance.now();
    const position = decoded.kind === 'message' ? decoded.message.position : decoded.position;
    this.options.log.error(
      {
        ...errorFields(error),
        groupId: this.options.groupId,
        position,
        attempt,
        faults: this.faults,
      },
      'a handler failed: its record is handed over again',
    );
  }

  private regulate(partition: OwnedPartition): void {
    const { tracker, bytes, paused } = partition;
    const decision = decideFlow({ unsettled: tracker.unsettled, bytes, paused }, this.limits);
    if (decision !== 'keep') this.setPaused(partition, decision === 'pause');
  }

  private setPaused(partition: OwnedPartition, paused: boolean): void {
    partition.paused = paused;
    const target = [{ topic: partition.topicName, partitions: [partition.partition] }];
    try {
      if (paused) this.client?.pause(target);
      else if (!this.stopping.signal.aborted) this.client?.resume(target);
    } catch (error) {
      // Between a failure of the client and its new start there is no group to pause: the next join does it (C6).
      this.options.log.debug(errorFields(error), 'pausing failed');
    }
  }

  // ---- commits ---------------------------------------------------------------------------------------------------------

  /** (C4) Always called from a task of its own, where the ownership map and the client's generation agree. */
  private commit(): Promise<void> {
    this.committing ??= this.commitSettled().finally(() => {
      this.committing = null;
    });
    return this.committing;
  }

  private async commitSettled(): Promise<void> {
    this.settledSinceCommit = 0;
    const positions = [...this.owned.values()].flatMap((partition) => {
      const position = partition.tracker.toCommit();
      return position === null ? [] : [{ partition, position }];
    });
    if (positions.length === 0 || !this.sendCommit) return;
    const topics = positions.map(({ partition: { topicName, partition }, position }) => ({
      topic: topicName,
      partitions: [{ partition, offset: position.toString() }],
    }));
    try {
      await this.sendCommit({ topics });
      for (const { partition, position } of positions) partition.tracker.committed(position);
    } catch (error) {
      // Nothing is lost: the next round names the same positions. A rebalance does this every time.
      this.options.log.debug(
        { ...errorFields(error), groupId: this.options.groupId },
        'commit failed',
      );
    }
  }

  // ---- the end ---------------------------------------------------------------------------------------------------------

  private async drain(graceMs: number): Promise<void> {
    this.stopping.abort();
    this.settleJoined.reject(new ConsumerStoppedError('The consumer stopped before it joined'));
    this.handOver.forget(() => true);
    for (const partition of this.owned.values()) this.setPaused(partition, true);
    await within(graceMs, this.idle());
    if (this.commitTimer) clearInterval(this.commitTimer);
    await this.committing;
    await new Promise((resolve) => setImmediate(resolve)); // (C4)
    await this.commit();
    const left = this.running
      .then(() => this.client?.disconnect())
      .catch((error: unknown) => {
        this.options.log.warn(
          errorFields(error),
          'leaving the group failed: the session will time out',
        );
      });
    await within(LEAVE_WITHIN_MS, left);
  }

  private idle(): Promise<void> {
    if (this.inWork === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onIdle = resolve;
    });
  }

  private onClientCrash(error: Error, restart: boolean): void {
    const fields = { ...errorFields(error), groupId: this.options.groupId };
    if (restart) this.options.log.warn(fields, 'the Kafka client failed and starts again');
    else this.crash(error);
  }

  private crash(error: Error): void {
    if (this.crashed || this.stopping.signal.aborted) return;
    this.crashed = true;
    this.settleJoined.reject(error);
    this.options.onCrash(error);
  }

  /** (C1) What kafkajs calls must not throw: what should never happen ends the process instead of the fetching. */
  private guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.options.log.error(errorFields(error), 'the consumer runtime failed');
      this.crash(asError(error));
    }
  }
}

const partitionKey = (topicName: string, partition: number) => `${topicName}/${partition}`;
const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));

function isUnknownTopic(error: unknown): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (
      cause instanceof kafkajs.KafkaJSProtocolError &&
      cause.type === 'UNKNOWN_TOPIC_OR_PARTITION'
    )
      return true;
  }
  return false;
}
