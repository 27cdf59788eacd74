/**
 * The consumer under `Consumer` and `DelayedConsumer`: from a fetched batch to a committed offset.
 *
 * (C1) Nothing is awaited while a batch is taken: decode, note, hand over, return.
 * (C2) A record is settled when its handler resolves, and by nothing else. A rejection hands it over again.
 * (C3) Records of one key are handed over in order, the next after the one before is settled; other keys do not wait.
 * (C4) What is committed is what is settled here, of partitions owned now (`offset-commits.ts`).
 * (C5) What is lost in a rebalance is not begun any more; what is begun goes on, since rows and not partitions own the work.
 * (C6) Pauses survive rejoins in kafkajs: each join sets every partition's pause anew.
 * (C7) Stop: take nothing more → let what is begun settle → commit → leave. A commit after the leave is dropped in silence.
 */
import type { Batch } from 'kafkajs';
import { MAX_MESSAGE_BYTES, type Decoded } from '../envelope/message.js';
import { pause, within } from '../pause.js';
import { Assignment, type OwnedPartition } from './assignment.js';
import type { ConsumerOptions, ConsumerStatus } from './consumer-options.js';
import { decideFlow, redeliveryDelayMs, type FlowLimits } from './decide-flow.js';
import { GroupMember } from './group-member.js';
import type { HandOver } from './hand-over.js';
import { holdRecord, positionOf, type HeldRecord } from './held-record.js';
import { KeyLanes } from './key-lanes.js';
import { OffsetCommits } from './offset-commits.js';

const LEAVE_WITHIN_MS = 10_000;
const SAY_FAULTS_EVERY_MS = 5_000;

export interface RuntimeOptions extends ConsumerOptions {
  readonly topics: readonly string[];
  readonly dueAtMs: (decoded: Decoded) => number;
  readonly handOver: (release: (record: HeldRecord) => void) => HandOver<HeldRecord>;
}

export class ConsumerStoppedError extends Error {
  override readonly name = 'ConsumerStoppedError';
  readonly code = 'consumer_stopped';
}

export class ConsumerRuntime {
  private readonly limits: FlowLimits;
  private readonly decoding: { readonly maxMessageBytes: number };
  private readonly member: GroupMember;
  private readonly commits: OffsetCommits;
  private readonly assignment = new Assignment();
  private readonly lanes = new KeyLanes();
  private readonly handOver: HandOver<HeldRecord>;
  private readonly firstJoin = Promise.withResolvers<void>();
  private readonly stopping = new AbortController();
  private stopped: Promise<void> | null = null;
  private dead = false;
  private heardAtMs: number | null = null;
  private inWork = 0;
  private onIdle: (() => void) | null = null;
  private faults = 0;
  private undecodable = 0;
  private saidFaultsAtMs = -Infinity;

  constructor(private readonly options: RuntimeOptions) {
    this.decoding = { maxMessageBytes: options.maxMessageBytes ?? MAX_MESSAGE_BYTES };
    this.limits = {
      maxBuffered: options.maxBuffered ?? 2_000,
      maxBufferedBytes: options.maxBufferedBytes ?? 8 * 1024 * 1024,
    };
    this.handOver = options.handOver((record) => {
      this.lanes.run(record.lane, () => this.work(record)); // (C3)
    });
    this.member = new GroupMember({
      ...options,
      onJoin: (memberId, partitions) => this.onJoin(memberId, partitions),
      onBatch: (batch) => this.onBatch(batch),
      onHeard: () => (this.heardAtMs = performance.now()),
      onDead: (error) => this.onDead(error),
    });
    this.commits = new OffsetCommits(
      this.assignment,
      (offsets) => this.member.commit(offsets),
      (error) => options.log.debug({ error, groupId: options.groupId }, 'commit failed'),
    ); // (C4)
    this.joined.catch(() => undefined); // Whoever waits for it hears of it; nobody has to.
  }

  /** Resolves at the first assignment; rejects if the consumer dies or stops before. */
  get joined(): Promise<void> {
    return this.firstJoin.promise;
  }

  /** Resolves when the group is being joined. Kafka away: keeps trying until `stop`. @throws TopicMissingError */
  async start(): Promise<void> {
    await this.member.start();
    if (this.stopping.signal.aborted) return;
    this.commits.start();
  }

  /** (C7) Resolves when the group is left, after at most `graceMs` for the handlers and some seconds for Kafka. */
  stop({ graceMs }: { graceMs: number }): Promise<void> {
    this.stopped ??= this.drain(graceMs);
    return this.stopped;
  }

  status(): ConsumerStatus {
    const { epoch, partitions } = this.assignment;
    return {
      joined: epoch > 0 && !this.dead && !this.stopping.signal.aborted,
      silentMs: this.heardAtMs === null ? 0 : performance.now() - this.heardAtMs,
      assignmentEpoch: epoch,
      inWork: this.inWork,
      waiting: this.handOver.waiting,
      undecodable: this.undecodable,
      faults: this.faults,
      partitions: partitions.map(({ topicName, partition, tracker, paused, highWatermark }) => ({
        topic: this.options.kafka.logicalTopic(topicName),
        partition,
        paused,
        unsettled: tracker.unsettled,
        lag: highWatermark === null ? null : Number(highWatermark - tracker.position),
      })),
    };
  }

  private onJoin(memberId: string, partitions: Readonly<Record<string, readonly number[]>>): void {
    this.assignment.take(memberId, partitions);
    this.handOver.forget(({ partition }) => partition.lost.aborted); // (C5)
    for (const partition of this.assignment.partitions) this.setPaused(partition, partition.paused); // (C6)
    this.options.log.info(
      {
        groupId: this.options.groupId,
        epoch: this.assignment.epoch,
        partitions: this.assignment.partitions.length,
      },
      'assignment taken',
    );
    this.firstJoin.resolve();
  }

  private onDead(error: Error): void {
    this.dead = true;
    this.firstJoin.reject(error);
    this.options.onCrash(error);
  }

  // ---- records ---------------------------------------------------------------------------------------------------------

  /** (C1) */
  private onBatch(batch: Batch): void {
    const partition = this.assignment.find(batch.topic, batch.partition);
    if (!partition || this.stopping.signal.aborted) return;
    partition.highWatermark = BigInt(batch.highWatermark);
    const offsets = batch.messages.map(({ offset }) => BigInt(offset));
    const fresh = new Set(partition.tracker.accept(offsets, BigInt(batch.lastOffset())));
    const topic = this.options.kafka.logicalTopic(batch.topic);
    const records = batch.messages
      .filter(({ offset }) => fresh.has(BigInt(offset)))
      .map((message) => holdRecord(partition, topic, message, this.decoding));
    for (const record of records) {
      partition.bytes += record.sizeBytes;
      if (record.decoded.kind === 'undecodable') this.undecodable += 1;
    }
    for (const record of records) this.handOver.push(record, this.options.dueAtMs(record.decoded));
    this.regulate(partition);
  }

  /** (C2) Ends when the record is settled, or is no longer ours to begin. Never rejects. */
  private async work(record: HeldRecord): Promise<void> {
    const { lost } = record.partition;
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
    if (partition.lost.aborted) return;
    this.commits.settled();
    this.regulate(partition);
  }

  private reportFault(error: unknown, decoded: Decoded, attempt: number): void {
    this.faults += 1;
    // With the database away every record in hand fails: one line says it.
    if (performance.now() - this.saidFaultsAtMs < SAY_FAULTS_EVERY_MS) return;
    this.saidFaultsAtMs = performance.now();
    const { groupId, log } = this.options;
    log.error(
      {
        error,
        groupId,
        ...positionOf(decoded),
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
    const stopping = this.stopping.signal.aborted;
    this.member.setPaused(partition.topicName, partition.partition, paused || stopping);
  }

  // ---- the end ---------------------------------------------------------------------------------------------------------

  private async drain(graceMs: number): Promise<void> {
    this.stopping.abort();
    this.firstJoin.reject(new ConsumerStoppedError('The consumer stopped before it joined'));
    this.handOver.forget(() => true);
    for (const partition of this.assignment.partitions) this.setPaused(partition, true);
    await within(graceMs, this.idle());
    await this.commits.finish();
    if (await within(LEAVE_WITHIN_MS, this.member.leave())) return;
    this.options.log.warn(
      { groupId: this.options.groupId },
      'not left in time: the session will time out',
    );
  }

  private idle(): Promise<void> {
    if (this.inWork === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onIdle = resolve;
    });
  }
}
