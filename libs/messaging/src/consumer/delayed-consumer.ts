import type { Decoded } from '../envelope/message.js';
import type { ConsumerOptions } from './consumer-options.js';
import { ConsumerRuntime } from './consumer-runtime.js';
import { DelayedHandOver } from './hand-over.js';
import { positionOf } from './held-record.js';

/** A topic whose records are handed over `delayMs` after the log's own timestamp (`message.timestamp.type=LogAppendTime`). */
export interface DelayTier {
  readonly topic: string;
  readonly delayMs: number;
}

export interface DelayedConsumerOptions extends ConsumerOptions {
  readonly tiers: readonly DelayTier[];
  /** Epoch ms. Default: this host's clock. A host that runs fast hands over early by as much: what starts work must ask the database's clock too. */
  readonly nowMs?: () => number;
}

/**
 * Retry tiers: the same guards as `Consumer`, and a record is handed over at its log timestamp + the tier's delay, never
 * before. Until then it waits in memory, uncommitted: whoever takes the partition over reads it again. Every record of a tier
 * waits equally long, so the head is always the first that is due, and a full buffer blocks nothing that is.
 */
export class DelayedConsumer extends ConsumerRuntime {
  constructor(options: DelayedConsumerOptions) {
    const delays = new Map(options.tiers.map(({ topic, delayMs }) => [topic, delayMs]));
    super({
      ...options,
      topics: [...delays.keys()],
      dueAtMs: (decoded) => dueAtMs(decoded, delays),
      handOver: (release) => new DelayedHandOver(release, options.nowMs ?? Date.now),
    });
  }
}

function dueAtMs(decoded: Decoded, delays: ReadonlyMap<string, number>): number {
  const { topic, timestamp } = positionOf(decoded);
  return timestamp + (delays.get(topic) ?? 0);
}
