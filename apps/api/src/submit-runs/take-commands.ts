/**
 * Takes what services ask for over Kafka, under the rules of HTTP and with the same idempotency keys.
 *
 * (T1) A record ends in one of two ways: it is done, or it is refused with a dead letter for its sender, committed before its
 *      offset. Only a database that is away makes it come again: nothing that is in a record holds its partition.
 * (T2) A record that comes again changes nothing: a run is found by its key, a cancel by the record that brought it. What was
 *      refused stays refused, though it might be taken by then: its sender was told so.
 */
import { createHash } from 'node:crypto';
import {
  CANCEL_RUN,
  CancelRun,
  IDEMPOTENCY_KEY,
  REQUEST_RUN,
  RunKey,
  type ProblemCode,
} from '#libs/contracts';
import type { ReceivedMessage, UndecodableCode, UndecodableRecord } from '#libs/messaging';
import { isTransientError } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import { checkedBodyOf, checkHoldable } from '../json-body.js';
import { ProblemError } from '../problem-error.js';
import { traceparentOfRecord } from '../trace.js';
import {
  commandIdOf,
  type RefusedCommand,
  type RefusedCommandsStore,
} from './refused-commands.store.js';
import type { SubmitRuns } from './submit-runs.js';

/** Why a command was refused: a problem of HTTP, a record that cannot be read, or one of the two that only Kafka has. */
export type CommandRefusalCode =
  ProblemCode | UndecodableCode | 'unknown_source' | 'unknown_command';

/** Stops the run that was asked for under a key; the same command again changes nothing. */
export interface CancelsRuns {
  /** @throws ProblemError where nothing comes of it */
  cancelByKey(cancel: {
    readonly tenant: string;
    readonly idempotencyKey: string;
    readonly reason: string | null;
    readonly commandId: string;
    readonly traceparent: string;
  }): Promise<void>;
}

export interface TakeCommandsParts {
  readonly runs: Pick<SubmitRuns, 'submit'>;
  readonly decisions: CancelsRuns;
  readonly refusals: RefusedCommandsStore;
  /** Tenant by `ce_source`. */
  readonly tenants: ReadonlyMap<string, string>;
  readonly log: FieldLog;
}

export class TakeCommands {
  constructor(private readonly parts: TakeCommandsParts) {}

  /** Resolves when the command is done or refused; rejects only while Postgres cannot be reached (T1). */
  async take(message: ReceivedMessage): Promise<void> {
    const { id, source, subject, key, position, data } = message;
    if (await this.parts.refusals.has(commandIdOf(position))) return; // (T2)
    try {
      await this.carryOut(message);
    } catch (error) {
      if (isTransientError(error)) throw error;
      await this.refuse({
        ...{ position, id, source, subject, key, idempotencyKey: keyIn(data) },
        ...measured(data),
        ...this.refusalOf(error, message),
      });
    }
  }

  async takeUndecodable(record: UndecodableRecord): Promise<void> {
    const { position, subject, key, headers, bodyHash, sizeBytes, problem } = record;
    const [id, source] = [headers['ce_id'] ?? null, headers['ce_source'] ?? null];
    const read = { position, id, source, subject, key, idempotencyKey: null };
    await this.refuse({ ...read, bodyHash, sizeBytes, ...problem });
  }

  private async carryOut(message: ReceivedMessage): Promise<void> {
    const tenant = this.parts.tenants.get(message.source);
    if (tenant === undefined) {
      const reason = `ce_source ${message.source.slice(0, 200)} may not send commands; the setting API_COMMAND_SOURCES says who may`;
      throw new CommandRefusedError('unknown_source', reason);
    }
    checkHoldable(message.data);
    const traceparent = traceparentOfRecord(message);
    switch (message.type) {
      case REQUEST_RUN: {
        const { idempotencyKey, body } = requestOf(message.data);
        await this.parts.runs.submit({ tenant, idempotencyKey, body, traceparent });
        return;
      }
      case CANCEL_RUN: {
        const command = checkedBodyOf(CancelRun, message.data, 'a cancel');
        const { idempotencyKey, reason = null } = command;
        const commandId = commandIdOf(message.position);
        const cancel = { tenant, idempotencyKey, reason, commandId, traceparent };
        return this.parts.decisions.cancelByKey(cancel);
      }
      default:
        throw new CommandRefusedError(
          'unknown_command',
          `ce_type ${message.type.slice(0, 200)} is not a command; use ${REQUEST_RUN} or ${CANCEL_RUN}`,
        );
    }
  }

  /** A fault of our own is told to the sender too, and to the log: the command is not tried again by itself. */
  private refusalOf(error: unknown, { id, type, position }: ReceivedMessage) {
    if (error instanceof ProblemError || error instanceof CommandRefusedError) {
      return { code: error.code, reason: error.message };
    }
    this.parts.log.error({ ...position, eventId: id, type, error }, 'command could not be taken');
    const reason = 'Something went wrong inside Holdfast. The same command may be sent again.';
    return { code: 'internal_error', reason };
  }

  private async refuse(command: RefusedCommand): Promise<void> {
    await this.parts.refusals.refuse(command);
    const { id, position, code, reason } = command;
    const eventId = id?.slice(0, 100);
    this.parts.log.warn(
      { ...position, ...(eventId && { eventId }), code, reason },
      'command refused',
    );
  }
}

class CommandRefusedError extends Error {
  override readonly name = 'CommandRefusedError';
  constructor(
    readonly code: CommandRefusalCode,
    reason: string,
  ) {
    super(reason);
  }
}

function measured(data: unknown): Pick<RefusedCommand, 'bodyHash' | 'sizeBytes'> {
  const body = Buffer.from(JSON.stringify(data));
  return { bodyHash: createHash('sha256').update(body).digest('hex'), sizeBytes: body.length };
}

/** The key, and the body as HTTP would have had it: its hash must be the same over both. */
function requestOf(data: unknown): { readonly idempotencyKey: string; readonly body: unknown } {
  const { idempotencyKey } = checkedBodyOf(RunKey, { idempotencyKey: fieldOf(data) }, 'a run');
  const { idempotencyKey: _key, ...body } = data as Record<string, unknown>;
  return { idempotencyKey, body };
}

function fieldOf(data: unknown): unknown {
  return typeof data === 'object' && data !== null && 'idempotencyKey' in data
    ? data.idempotencyKey
    : undefined;
}

/** For the dead letter: only what is a key. */
function keyIn(data: unknown): string | null {
  const key = fieldOf(data);
  return typeof key === 'string' && IDEMPOTENCY_KEY.test(key) ? key : null;
}
