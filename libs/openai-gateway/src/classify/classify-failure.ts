/** Turns a fact into the one failure that everything else is decided from. Pure: `nowMs` is an argument. */
import type { CallFailure } from '../model-call.js';
import type { CallFact } from './call-fact.js';
import { classificationTable, type ClassificationRow, codeOf } from './classification-table.js';
import { readRateLimitWaitMs, readRetryAfterMs } from './retry-after.js';
import { redactEchoes } from './safe-text.js';

export interface ClassifyContext {
  /** Wall clock: `Retry-After` may be a date. */
  readonly nowMs: number;
  /** What was sent: OpenAI's messages may quote it, failures must not. */
  readonly sentTexts: readonly string[];
}

export function classifyFailure(fact: CallFact, context: ClassifyContext): CallFailure {
  const row = findRow(fact);
  return {
    class: row.class,
    code: codeOf(fact) ?? row.code,
    httpStatus: httpStatusOf(fact),
    requestId: 'requestId' in fact ? fact.requestId : null,
    responseId: 'responseId' in fact ? fact.responseId : null,
    message: describe(fact, row, context.sentTexts),
    retryAfterMs: waitMs(fact, row, context.nowMs),
    paid: paidOf(fact, row),
    breaker: row.breaker,
  };
}

/** The table's last rows take every fact of their kind, so there always is one (a spec proves it). */
export function findRow(fact: CallFact): ClassificationRow {
  const row = classificationTable.find((candidate) => candidate.when(fact));
  if (row === undefined) throw new FactUnclassifiedError(fact.kind);
  return row;
}

export class FactUnclassifiedError extends Error {
  override readonly name = 'FactUnclassifiedError';
  readonly code = 'fact_unclassified';
  constructor(kind: string) {
    super(`no row of the classification table takes a fact of kind ${kind}`);
  }
}

/** What was refused cost nothing; what was accepted and then failed may have, whatever its code. */
function paidOf(fact: CallFact, row: ClassificationRow): CallFailure['paid'] {
  return row.paid === 'no' && fact.kind === 'failed_response' ? 'maybe' : row.paid;
}

function httpStatusOf(fact: CallFact): number | null {
  if (fact.kind === 'refused') return fact.status;
  if (fact.kind === 'no_answer') return fact.httpStatus;
  return fact.kind === 'failed_response' || fact.kind === 'incomplete_response' ? 200 : null;
}

function waitMs(fact: CallFact, row: ClassificationRow, nowMs: number): number | null {
  if (fact.kind !== 'refused') return row.waitAtLeastMs ?? null;
  const asked =
    readRetryAfterMs(fact.headers, nowMs) ??
    (row.readsRateLimits ? readRateLimitWaitMs(fact.headers, fact.message) : null);
  if (asked === null) return row.waitAtLeastMs ?? null;
  return Math.max(asked, row.waitAtLeastMs ?? 0);
}

function describe(fact: CallFact, row: ClassificationRow, sentTexts: readonly string[]): string {
  switch (fact.kind) {
    case 'no_answer':
      return fact.requestLeft
        ? `The request left, and no answer that can be read came back (${fact.cause}).`
        : `The request did not leave (${fact.cause}).`;
    case 'refused':
      return describeRefusal(fact, row, sentTexts);
    case 'failed_response':
      return `OpenAI ended the response as failed (${fact.code ?? 'no code'}).`;
    case 'incomplete_response':
      return `OpenAI ended the response as incomplete (${fact.reason ?? 'no reason given'}).`;
    case 'deadline_passed':
      return fact.cancelConfirmed
        ? 'The call took longer than its time limit and was cancelled.'
        : 'The call took longer than its time limit, and OpenAI did not confirm the cancel.';
    case 'response_gone':
      return 'OpenAI no longer has the response.';
    case 'cancelled_elsewhere':
      return 'The response was cancelled at OpenAI, not by Holdfast.';
    case 'cancelled_on_request':
      return 'The response was cancelled at OpenAI, because its run ended without it.';
    case 'sender_died':
      return 'The process that sent the call ended before it knew what came of it.';
  }
}

/** Classes whose mending needs OpenAI's own words. The rest get ours: a 401's message shows part of the key. */
const needOpenAisWords: readonly ClassificationRow['class'][] = [
  'invalid_request',
  'configuration',
  'too_large',
  'contended',
];

function describeRefusal(
  fact: Extract<CallFact, { kind: 'refused' }>,
  row: ClassificationRow,
  sentTexts: readonly string[],
): string {
  const by = fact.isOpenAis ? 'OpenAI answered' : 'Something other than OpenAI answered';
  const code = fact.code === null ? '' : ` ${fact.code}`;
  const param = fact.param === null ? '' : ` at ${fact.param}`;
  const own = `${by} ${fact.status}${code}${param} (${row.name}).`;
  if (!needOpenAisWords.includes(row.class) || fact.message === '') return own;
  return `${own} ${redactEchoes(fact.message, sentTexts)}`;
}
