import { checkFields, DEFAULT_PAGE_SIZE, ListRunsQuery, statusesOf } from '#libs/contracts';
import { badQuery } from '../bad-query.js';
import type { RunFilter } from './follow-runs.store.js';

/** What `GET /v1/runs?…` asks for. */
export function runFilterOf(tenant: string, query: unknown): RunFilter {
  const checked = checkFields(ListRunsQuery, { ...(query as object) });
  if (checked.kind === 'invalid') throw badQuery(checked.wrong);
  const { status, workflow, reference, idempotencyKey, limit, cursor } = checked.value;
  return {
    tenant,
    statuses: statusesOf(status) ?? null,
    workflow: workflow ?? null,
    reference: reference ?? null,
    idempotencyKey: idempotencyKey ?? null,
    beforeId: cursor ?? null,
    limit: limit === undefined ? DEFAULT_PAGE_SIZE : Number(limit),
  };
}

/** The same list, from where this page ended. */
export function nextPageOf(query: unknown, lastId: string): string {
  const next = new URLSearchParams({ ...(query as Record<string, string>), cursor: lastId });
  return `/v1/runs?${next.toString()}`;
}
