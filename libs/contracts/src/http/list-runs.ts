import { IsOptional, Matches, ValidateBy } from 'class-validator';
import { runStatuses, type RunStatus } from '#libs/domain';
import { rule } from './check-fields.js';
import { IDEMPOTENCY_KEY } from './submit-run.js';

export const MAX_PAGE_SIZE = 200;
export const DEFAULT_PAGE_SIZE = 50;

const LIMIT = /^[1-9]\d{0,2}$/;

/** Query of `GET /v1/runs`, as it stands in the URL: strings. Filters narrow each other. */
export class ListRunsQuery {
  /** One or more states, separated by commas. */
  @IsOptional()
  @ValidateBy(
    { name: 'statuses', validator: { validate: (value) => statusesOf(value) !== undefined } },
    rule('is not a list of states', `Use, separated by commas: ${runStatuses.join(', ')}.`),
  )
  status?: string;

  @IsOptional()
  @Matches(/^[^\p{Cc}\p{Cs}]{1,100}$/u, rule('must be a name', 'Send it once, as plain text.'))
  workflow?: string;

  /** The caller's own id for what the run is about. */
  @IsOptional()
  @Matches(/^[^\p{Cc}\p{Cs}]{1,200}$/u, rule('must be one line', 'Send it once, as plain text.'))
  reference?: string;

  /** Finds the run of a lost answer. */
  @IsOptional()
  @Matches(IDEMPOTENCY_KEY, rule('is not a key', 'Send 1 to 255 visible ASCII characters.'))
  idempotencyKey?: string;

  @IsOptional()
  @ValidateBy(
    { name: 'limit', validator: { validate: (value) => isLimit(value) } },
    rule('is not a page size', `Send a whole number from 1 to ${MAX_PAGE_SIZE}.`),
  )
  limit?: string;

  /** Where the page before ended: take it from its `Link: rel="next"`, as it is. */
  @IsOptional()
  @Matches(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/, rule('is not a cursor', 'Follow `Link`.'))
  cursor?: string;
}

/** States of a checked `status` filter; undefined where it is not one. */
export function statusesOf(status: unknown): RunStatus[] | undefined {
  if (typeof status !== 'string') return undefined;
  const names = status.split(',');
  const isStatus = (name: string): name is RunStatus =>
    (runStatuses as readonly string[]).includes(name);
  return names.every(isStatus) ? names : undefined;
}

function isLimit(value: unknown): boolean {
  return typeof value === 'string' && LIMIT.test(value) && Number(value) <= MAX_PAGE_SIZE;
}
