import { RowRefusedError } from '#libs/postgres';

/**
 * One message on the wire: a CloudEvent 1.0 in Kafka's binary mode. The attributes travel as `ce_*` headers (UTF-8),
 * the data as the JSON value, so that a consumer can route and drop repeats without parsing the value.
 */
export interface Message {
  /** UUIDv7 by custom; the key by which consumers drop repeats. */
  readonly id: string;
  readonly source: string;
  /** `dev.holdfast.<noun>.<verb>.v<n>` */
  readonly type: string;
  /** What it is about: the run id. */
  readonly subject: string;
  readonly time: Date;
  /** Kafka's record key: records of one key keep their order. */
  readonly key: string;
  readonly correlationId?: string;
  readonly causationId?: string;
  /** W3C Trace Context, unchanged over retries. */
  readonly traceparent?: string;
  /** Everything that is not the envelope: `x-holdfast-*`, `kafka_dlt-*`, … */
  readonly headers?: Readonly<Record<string, string>>;
  /** A JSON value. */
  readonly data: unknown;
}

/** Where a record lies. `topic` is the logical name, without the deployment's prefix. */
export interface RecordPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** Epoch ms as the log has it: the broker's clock where the topic is LogAppendTime, else the sender's. */
  readonly timestamp: number;
}

export interface ReceivedMessage extends Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly position: RecordPosition;
}

export type UndecodableCode =
  | 'value_missing'
  | 'value_too_large'
  | 'json_invalid'
  | 'json_too_deep'
  | 'key_missing'
  | 'header_missing'
  | 'header_invalid'
  | 'specversion_unknown'
  | 'content_type_unknown';

/** A record that is no message of ours. Whatever could be read of it is kept for the dead letter; never its body. */
export interface UndecodableRecord {
  readonly kind: 'undecodable';
  /** `reason` names the header or place, never the content. */
  readonly problem: { readonly code: UndecodableCode; readonly reason: string };
  readonly position: RecordPosition;
  readonly key: string | null;
  readonly subject: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly sizeBytes: number;
  /** SHA-256 of the value in hex: tells whether two dead letters are the same mistake. */
  readonly bodyHash: string;
}

export interface DecodedMessage {
  readonly kind: 'message';
  readonly message: ReceivedMessage;
}

export type Decoded = DecodedMessage | UndecodableRecord;

/** Value, key and headers together. Under the broker's `message.max.bytes` (1 MB), with room for the batch around it. */
export const MAX_MESSAGE_BYTES = 900 * 1024;

/** The message can't be put on the wire as it is: a programming error at the sender. Terminal. */
export class MessageInvalidError extends RowRefusedError {
  override readonly name = 'MessageInvalidError';
  readonly code = 'message_invalid';
}
