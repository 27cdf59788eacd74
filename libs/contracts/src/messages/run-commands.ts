/**
 * What services ask for on `holdfast.run.commands.v1` instead of over HTTP, and what they are told where it is refused. Accepted
 * commands are answered by the run's events. Held to the rules of HTTP: a field that is not known is refused, not ignored.
 */
import { IsInt, IsNotEmpty, IsOptional, IsString, Matches } from 'class-validator';
import { rule } from '../http/check-fields.js';
import { REASON } from '../http/decide-run.js';
import { IDEMPOTENCY_KEY, SubmitRunBody } from '../http/submit-run.js';

export const REQUEST_RUN = 'dev.holdfast.run.request.v1';
export const CANCEL_RUN = 'dev.holdfast.run.cancel.v1';
export const RUN_COMMAND_REFUSED = 'dev.holdfast.run.command-refused.v1';

const keyRule = rule(
  'is not a key',
  'Send 1 to 255 visible ASCII characters: the same for every try of one action, a new one for each new action.',
);

/** Ask for a run: the body of `POST /v1/runs`, and the key that HTTP takes as a header. */
export class RequestRun extends SubmitRunBody {
  @Matches(IDEMPOTENCY_KEY, keyRule)
  idempotencyKey!: string;
}

/** What all commands name: the action that they are about. */
export class RunKey {
  @Matches(IDEMPOTENCY_KEY, keyRule)
  idempotencyKey!: string;
}

/** Stop the run that was asked for under this key. */
export class CancelRun extends RunKey {
  @IsOptional()
  @Matches(REASON.pattern, REASON.rule)
  reason?: string | null;
}

/** A command was refused: nothing was done, and nothing will be. Holds no body. */
export class RunCommandRefused {
  /** null where it could not be read. */
  @IsOptional()
  @Matches(IDEMPOTENCY_KEY)
  idempotencyKey!: string | null;

  /** `ce_source` of the command; null where it could not be read. */
  @IsOptional()
  @IsString()
  source!: string | null;

  @IsString()
  @IsNotEmpty()
  code!: string;

  /** Names the field, header or place that is wrong, never its content. */
  @IsString()
  reason!: string;

  /** SHA-256 in hex: of the record's bytes where they cannot be read, else of the data as compact JSON in the order it came. */
  @IsOptional()
  @IsString()
  bodyHash!: string | null;

  @IsOptional()
  @IsInt()
  sizeBytes!: number | null;
}
