import {
  checkFields,
  DEFAULT_PAGE_SIZE,
  ListRunsQuery,
  statusesOf,
  type ProblemField,
} from '#libs/contracts';
import { ProblemError } from '../problem-error.js';
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

/** A query is flat: its fields are named as parameters, not by pointer. */
export function badQuery(
  wrong: readonly Required<Pick<ProblemField, 'pointer' | 'message' | 'mend'>>[],
) {
  const errors = wrong.map(({ pointer, message, mend }) => ({
    parameter: pointer.slice(1),
    message,
    mend,
  }));
  const places = errors.map(({ parameter, message }) => `${parameter} ${message}`);
  return new ProblemError('invalid_query', `The query cannot be read: ${places.join('; ')}.`, {
    errors,
  });
}
