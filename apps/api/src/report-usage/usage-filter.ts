import { checkFields, DEFAULT_USAGE_DAYS, MAX_USAGE_DAYS, UsageQuery } from '#libs/contracts';
import { badQuery } from '../bad-query.js';

/** What `GET /v1/usage?…` asks for. Days are UTC, both included. */
export interface UsageFilter {
  readonly tenant: string;
  readonly from: string;
  readonly to: string;
  readonly workflow: string | null;
  readonly model: string | null;
}

const DAY_MS = 86_400_000;

/** @throws ProblemError `invalid_query` */
export function usageFilterOf(tenant: string, query: unknown, nowMs: number): UsageFilter {
  const checked = checkFields(UsageQuery, { ...(query as object) });
  if (checked.kind === 'invalid') throw badQuery(checked.wrong);
  const { workflow = null, model = null } = checked.value;
  const to = checked.value.to ?? dayOf(nowMs);
  const toMs = Date.parse(to);
  const from = checked.value.from ?? dayOf(toMs - (DEFAULT_USAGE_DAYS - 1) * DAY_MS);
  const days = (toMs - Date.parse(from)) / DAY_MS + 1;
  if (days < 1) throw wrongFrom('is after `to`', 'Send a day up to `to`.');
  if (days > MAX_USAGE_DAYS) {
    throw wrongFrom(`asks for ${days} days`, `Ask for ${MAX_USAGE_DAYS} days at most at once.`);
  }
  return { tenant, from, to, workflow, model };
}

const wrongFrom = (message: string, mend: string) =>
  badQuery([{ pointer: '/from', message, mend }]);

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
