import type { Decoded } from '../envelope/message.js';
import type { KafkaConnection } from '../kafka/kafka-connection.js';
import type { FieldLog } from '#libs/process';

/**
 * Resolving settles the record: it is committed and will not come again. Rejecting says that the infrastructure failed (a
 * database away, a bug): the same record is handed over again after a growing delay (0.1–10 s), for as long as this member
 * owns its partition. It is never skipped, so what can't ever succeed must be put away by the handler itself.
 */
export type RecordHandler = (decoded: Decoded) => Promise<void>;

export interface ConsumerOptions {
  readonly kafka: KafkaConnection;
  /** Logical group; the prefix is added. */
  readonly groupId: string;
  readonly handler: RecordHandler;
  readonly log: FieldLog;
  /** The consumer is dead and will not come back by itself: end the process. Called at most once. */
  readonly onCrash: (error: Error) => void;
  /** Records per partition in memory and not settled before fetching from it pauses. Default 2,000. */
  readonly maxBuffered?: number;
  /** The same in bytes. Default 8 MB. Either limit may be passed by one fetched batch. */
  readonly maxBufferedBytes?: number;
  /** Larger records are undecodable. Default 900 KB. */
  readonly maxMessageBytes?: number;
}

export interface PartitionStatus {
  /** Logical name. */
  readonly topic: string;
  readonly partition: number;
  readonly unsettled: number;
  readonly paused: boolean;
  /** Records from the first unsettled one to the end of the log, as of the last fetch; null before the first. */
  readonly lag: number | null;
}

export interface ConsumerStatus {
  readonly joined: boolean;
  /** Since Kafka last answered a fetch or a heartbeat; 0 before the first assignment. */
  readonly silentMs: number;
  /** Grows with every assignment this member got. */
  readonly assignmentEpoch: number;
  readonly partitions: readonly PartitionStatus[];
  /** Handlers running now. */
  readonly inWork: number;
  /** Fetched and waiting for their due time (retry tiers). */
  readonly waiting: number;
  /** Records since the start that are no message. */
  readonly undecodable: number;
  /** Handler rejections since the start. */
  readonly faults: number;
}
