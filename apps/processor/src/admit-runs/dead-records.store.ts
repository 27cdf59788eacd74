/** Records that can't be dispatched go to the dead letters with the reason; never with their body. The consumer goes on. */
import { createHash } from 'node:crypto';
import {
  DISPATCH_REFUSED,
  refusalHeaders,
  refusalReason,
  topics,
  usableName,
} from '#libs/contracts';
import type { Outbox, OutboxMessage, ReceivedMessage, UndecodableRecord } from '#libs/messaging';
import { KeyedBatcher, type Database } from '#libs/postgres';

/** A record and why it goes no further. */
export interface DeadRecord {
  readonly record: Pick<UndecodableRecord, 'position' | 'key' | 'subject'> & {
    readonly bodyHash: string | null;
    readonly sizeBytes: number | null;
  };
  readonly code: string;
  readonly reason: string;
}

export class DeadRecordsStore {
  private readonly batcher: KeyedBatcher<DeadRecord, void>;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {
    this.batcher = new KeyedBatcher({
      name: 'processor.dead-records',
      keyOf: ({ record: { position } }: DeadRecord) =>
        `${position.topic}/${position.partition}/${position.offset}`,
      write: (dead) => this.write(dead),
    });
  }

  bury(dead: DeadRecord): Promise<void> {
    return this.batcher.push(dead);
  }

  private async write(dead: readonly DeadRecord[]): Promise<void[]> {
    const now = new Date();
    await this.database.transaction((tx) =>
      this.outbox.append(
        tx,
        dead.map((each) => deadRecordMessage(each, now)),
      ),
    );
    return dead.map(() => undefined);
  }
}

export function refusedRecord(message: ReceivedMessage, code: string, reason: string): DeadRecord {
  const { position, key, subject } = message;
  return { record: { position, key, subject, bodyHash: null, sizeBytes: null }, code, reason };
}

export function undecodableRecord(record: UndecodableRecord): DeadRecord {
  return { record, code: record.problem.code, reason: record.problem.reason };
}

/** The id comes from the record's place in the log: the same record, delivered again, is the same dead letter. */
function deadRecordMessage({ record, code, ...dead }: DeadRecord, now: Date): OutboxMessage {
  const { topic, partition, offset } = record.position;
  const place = `${topic}/${partition}/${offset}`;
  const key = usableName(record.key) ?? place;
  const reason = refusalReason(dead.reason);
  return {
    topic: topics.runRequestedDeadLetters,
    message: {
      id: createHash('sha256').update(place).digest('hex').slice(0, 32),
      type: DISPATCH_REFUSED,
      subject: usableName(record.subject) ?? key,
      key,
      time: now,
      headers: refusalHeaders(record.position, code, reason),
      data: { code, reason, bodyHash: record.bodyHash, sizeBytes: record.sizeBytes },
    },
  };
}
