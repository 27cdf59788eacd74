/** Commands that were refused: the dead letter for their sender, and the note that keeps them refused. */
import { createHash } from 'node:crypto';
import {
  refusalHeaders,
  refusalReason,
  RUN_COMMAND_REFUSED,
  topics,
  usableName,
  type RunCommandRefused,
} from '#libs/contracts';
import type { Outbox, OutboxMessage, OutboxRelay, RecordPosition } from '#libs/messaging';
import { KeyedBatcher, statement, type Database, type Tx } from '#libs/postgres';

/** What could be read of a command, and why it goes no further. Never its body. */
export interface RefusedCommand {
  readonly position: RecordPosition;
  /** `ce_id`, `ce_source`, `ce_subject` and the record's key. */
  readonly id: string | null;
  readonly source: string | null;
  readonly subject: string | null;
  readonly key: string | null;
  readonly idempotencyKey: string | null;
  readonly bodyHash: string | null;
  readonly sizeBytes: number | null;
  readonly code: string;
  readonly reason: string;
}

/** Names a record for good: the same one, delivered again, is the same command. A topic made anew gives its offsets again, not its times. */
export function commandIdOf({ topic, partition, offset, timestamp }: RecordPosition): string {
  const place = `${topic}/${partition}/${offset}@${timestamp}`;
  return createHash('sha256').update(place).digest('hex').slice(0, 32);
}

export class RefusedCommandsStore {
  private readonly batcher: KeyedBatcher<RefusedCommand, void>;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    relay: Pick<OutboxRelay, 'hint'>,
  ) {
    this.batcher = new KeyedBatcher<RefusedCommand, void>({
      name: 'api.refused-commands',
      keyOf: ({ position }) => commandIdOf(position),
      write: async (refused) => {
        await this.database.transaction((tx) => this.write(tx, refused));
        relay.hint();
        return refused.map(() => undefined);
      },
    });
  }

  /** Was the command of this id refused before? */
  async has(commandId: string): Promise<boolean> {
    return (await this.database.query(FIND, [commandId])).rowCount > 0;
  }

  /** Resolves when note and dead letter are committed; once per record, however often it comes. */
  refuse(command: RefusedCommand): Promise<void> {
    return this.batcher.push(command);
  }

  private async write(tx: Tx, refused: readonly RefusedCommand[]): Promise<void> {
    const { rows } = await tx.query<{ id: string }>(INSERT, [
      refused.map(({ position }) => commandIdOf(position)),
      refused.map(({ code }) => code),
    ]);
    const fresh = new Set(rows.map(({ id }) => id));
    const now = new Date();
    const letters = refused.map((command) => deadLetterOf(command, now));
    this.outbox.append(
      tx,
      letters.filter(({ message }) => fresh.has(message.id)),
    );
  }
}

function deadLetterOf(command: RefusedCommand, now: Date): OutboxMessage {
  const { position, id, code, idempotencyKey, bodyHash, sizeBytes } = command;
  const place = `${position.topic}/${position.partition}/${position.offset}`;
  const key = usableName(command.key) ?? place;
  const causationId = usableName(id);
  const source = usableName(command.source);
  const reason = refusalReason(command.reason);
  const data: RunCommandRefused = { idempotencyKey, source, code, reason, bodyHash, sizeBytes };
  return {
    topic: topics.runCommandsDeadLetters,
    message: {
      id: commandIdOf(position),
      type: RUN_COMMAND_REFUSED,
      subject: usableName(command.subject) ?? key,
      ...{ key, time: now, data },
      ...(causationId !== null && { causationId }),
      headers: refusalHeaders(position, code, reason),
    },
  };
}

const FIND = statement(
  'api.refused-commands.find',
  'SELECT FROM api.refused_commands WHERE id = $1',
);

const INSERT = statement(
  'api.refused-commands.insert',
  `INSERT INTO api.refused_commands (id, code) SELECT * FROM unnest($1::text[], $2::text[])
   ON CONFLICT DO NOTHING RETURNING id`,
);
