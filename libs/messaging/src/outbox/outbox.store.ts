import {
  hotStatement,
  packBytes,
  RowRefusedError,
  statement,
  type Statement,
  type Tx,
} from '#libs/postgres';
import { encodeMessage } from '../envelope/encode-message.js';
import { MAX_MESSAGE_BYTES, MessageInvalidError, type Message } from '../envelope/message.js';

export interface OutboxMessage {
  /** Logical topic. */
  readonly topic: string;
  /** `source` may be left out: the outbox knows whose it is. */
  readonly message: Omit<Message, 'source'> & { readonly source?: string };
}

export interface OutboxOptions {
  readonly schema: string;
  /** `ce_source` of what is appended here, e.g. `/holdfast/processor`. */
  readonly source: string;
  /** Key, value and headers together. Default 900 KB. */
  readonly maxMessageBytes?: number;
}

/** Terminal: the transaction must not commit with it. Put the payload into the content store and send a reference. */
export class OutboxMessageTooLargeError extends RowRefusedError {
  override readonly name = 'OutboxMessageTooLargeError';
  readonly code = 'outbox_message_too_large';
  constructor(
    readonly messageType: string,
    readonly sizeBytes: number,
    readonly maxMessageBytes: number,
  ) {
    super(`${messageType} has ${sizeBytes} bytes; the limit is ${maxMessageBytes}`);
  }
}

/** Where a transaction leaves its messages. They are on Kafka if, and only if, it commits; the relay brings them there. */
export class Outbox {
  private readonly insert: Statement;
  private readonly requeue: Statement;

  constructor(private readonly options: OutboxOptions) {
    this.insert = hotStatement(`${options.schema}.outbox.append`, appendSql(options.schema));
    this.requeue = statement(`${options.schema}.outbox.requeue`, requeueSql(options.schema));
  }

  /**
   * One statement for all of them. Draws their `seq` now, in the order given: call it after the row locks of what the
   * messages are about, or two transactions on one run can publish in the wrong order.
   * @throws OutboxMessageTooLargeError, MessageInvalidError: before anything is written
   */
  append(tx: Tx, messages: readonly OutboxMessage[]): void {
    if (messages.length === 0) return;
    const rows = messages.map((message) => this.encode(message));
    const headers = packBytes(rows.map((row) => row.headers));
    const bodies = packBytes(rows.map((row) => row.body));
    tx.send(this.insert, [
      rows.map(({ topic }) => topic),
      rows.map(({ key }) => key),
      ...[headers.bytes, headers.starts, headers.sizes],
      ...[bodies.bytes, bodies.starts, bodies.sizes],
      rows.map(({ sizeBytes }) => sizeBytes),
    ]);
  }

  /**
   * Sends a parked key's rows again, in their order, behind everything that waits now: for support, once the cause is mended.
   * @returns how many rows
   */
  async requeueParked(tx: Tx, key: string): Promise<number> {
    const { rowCount } = await tx.query(this.requeue, [key]);
    return rowCount;
  }

  private encode({ topic, message }: OutboxMessage) {
    const { source, maxMessageBytes = MAX_MESSAGE_BYTES } = this.options;
    if (!TOPIC_NAME.test(topic)) throw new MessageInvalidError(`No topic can be named "${topic}"`);
    const { key, value, headers, sizeBytes } = encodeMessage({ source, ...message });
    if (sizeBytes > maxMessageBytes) {
      throw new OutboxMessageTooLargeError(message.type, sizeBytes, maxMessageBytes);
    }
    return { topic, key, headers: Buffer.from(JSON.stringify(headers)), body: value, sizeBytes };
  }
}

/** Kafka's rule, less room for a prefix. */
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,200}$/;

/**
 * The first CTE gives the transaction its id before any `seq` is drawn: the relay's read floor rests on that order
 * (read-floor.ts, F1).
 */
const appendSql = (schema: string) => `
  WITH begun AS MATERIALIZED (SELECT pg_current_xact_id())
  INSERT INTO ${schema}.outbox (topic, key, headers, body, size_bytes)
  SELECT m.topic, m.key, substr($3::bytea, m.headers_start, m.headers_size), substr($6::bytea, m.body_start, m.body_size),
    m.size_bytes
  FROM begun, unnest($1::text[], $2::text[], $4::int[], $5::int[], $7::int[], $8::int[], $9::int[])
    WITH ORDINALITY AS m (topic, key, headers_start, headers_size, body_start, body_size, size_bytes, position)
  ORDER BY m.position`;

/** New `seq`s, so that a relay that has read past the old ones finds them. */
const requeueSql = (schema: string) => `
  WITH begun AS MATERIALIZED (SELECT pg_current_xact_id()),
  moved AS (DELETE FROM ${schema}.outbox o USING begun WHERE o.key = $1
    AND EXISTS (SELECT FROM ${schema}.outbox p WHERE p.key = $1 AND p.parked_at IS NOT NULL)
    RETURNING o.seq, o.topic, o.key, o.headers, o.body, o.size_bytes, o.appended_at)
  INSERT INTO ${schema}.outbox (topic, key, headers, body, size_bytes, appended_at)
  SELECT topic, key, headers, body, size_bytes, appended_at FROM moved ORDER BY seq`;
