import type { KafkaMessage } from 'kafkajs';
import { decodeRecord } from '../envelope/decode-record.js';
import type { Decoded, RecordPosition } from '../envelope/message.js';
import type { OwnedPartition } from './assignment.js';

/** A fetched record on its way through the consumer: in memory, decoded, not settled. */
export interface HeldRecord {
  readonly partition: OwnedPartition;
  readonly offset: bigint;
  readonly sizeBytes: number;
  /** Records of one lane are handed over one after the other; null: no order is asked for. */
  readonly lane: string | null;
  readonly decoded: Decoded;
}

/** @param topic the logical name */
export function holdRecord(
  partition: OwnedPartition,
  topic: string,
  message: KafkaMessage,
  limits: { readonly maxMessageBytes: number },
): HeldRecord {
  const { key, value, offset, timestamp } = message;
  const headers = message.headers ?? {};
  const raw = { topic, partition: partition.partition, offset, timestamp, key, value, headers };
  return {
    partition,
    offset: BigInt(offset),
    sizeBytes: (key?.length ?? 0) + (value?.length ?? 0),
    lane: key === null ? null : `${topic}\0${key.toString('latin1')}`,
    decoded: decodeRecord(raw, limits),
  };
}

export function positionOf(decoded: Decoded): RecordPosition {
  return decoded.kind === 'message' ? decoded.message.position : decoded.position;
}
