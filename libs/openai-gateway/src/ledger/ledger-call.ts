/** A call as the ledger knows it: only the fields that its state has. */
import type { CallFailure, ModelOutput, Usage } from '../model-call.js';

export type LedgerCall = LedgerCallBase &
  (
    | { readonly state: 'planned' }
    | { readonly state: 'sending' }
    | { readonly state: 'accepted'; readonly responseId: string }
    | { readonly state: 'unknown'; readonly failure: CallFailure }
    | {
        readonly state: 'done';
        readonly output: ModelOutput;
        readonly usage: Usage;
        /** null: taken from its anchor, nobody has seen it. */
        readonly responseId: string | null;
        readonly servedModel: string;
      }
    | { readonly state: 'failed' | 'cancelled'; readonly failure: CallFailure }
  );

export interface LedgerCallBase {
  readonly callId: string;
  readonly fence: bigint;
  readonly cancelRequested: boolean;
  /** Sendings so far. */
  readonly attemptCount: number;
  readonly requestId: string | null;
  /** That it is, or was last, sent with. */
  readonly account: string;
  /** Since the last sending, by the database's clock; 0 where nothing was sent. */
  readonly sentAgoMs: number;
  /** The conversation that it was sent on last, or, where it is to be sent, that is at hand for it; null: none, or it is gone. */
  readonly anchor: string | null;
  /** Since it was made sure that the last sending has left nothing and never will; null: it was not. */
  readonly fencedAgoMs: number | null;
}

/** The columns that `open` reads. */
export interface CallRow {
  readonly call_id: string;
  readonly state: LedgerCall['state'];
  readonly fence: bigint;
  readonly cancel_requested: boolean;
  readonly attempt_count: number;
  readonly account: string;
  readonly response_id: string | null;
  readonly request_id: string | null;
  readonly served_model: string | null;
  readonly output: Buffer | null;
  readonly usage: Usage | null;
  readonly failure: CallFailure | null;
  readonly sent_ago_ms: number | null;
  readonly anchor: string | null;
  readonly fenced_ago_ms: number | null;
}

/** @throws CallRowBrokenError where a column that the state needs is empty (the table's checks forbid it) */
export function readCallRow(row: CallRow): LedgerCall {
  const base: LedgerCallBase = {
    callId: row.call_id,
    fence: row.fence,
    cancelRequested: row.cancel_requested,
    attemptCount: row.attempt_count,
    requestId: row.request_id,
    account: row.account,
    sentAgoMs: row.sent_ago_ms ?? 0,
    anchor: row.anchor,
    fencedAgoMs: row.fenced_ago_ms,
  };
  const need = <T>(value: T | null, column: string): T => {
    if (value === null) throw new CallRowBrokenError(row.call_id, row.state, column);
    return value;
  };
  switch (row.state) {
    case 'planned':
    case 'sending':
      return { ...base, state: row.state };
    case 'accepted':
      return { ...base, state: 'accepted', responseId: need(row.response_id, 'response_id') };
    case 'unknown':
    case 'failed':
    case 'cancelled':
      return { ...base, state: row.state, failure: need(row.failure, 'failure') };
    case 'done':
      return {
        ...base,
        state: 'done',
        output: decodeOutput(need(row.output, 'output')),
        usage: need(row.usage, 'usage'),
        responseId: row.response_id,
        servedModel: need(row.served_model, 'served_model'),
      };
  }
}

/** As bytes: model output may hold U+0000, which text and jsonb refuse. */
export const encodeOutput = (output: ModelOutput): Buffer => Buffer.from(JSON.stringify(output));
const decodeOutput = (bytes: Buffer): ModelOutput =>
  JSON.parse(bytes.toString('utf8')) as ModelOutput;

export class CallRowBrokenError extends Error {
  override readonly name = 'CallRowBrokenError';
  readonly code = 'call_row_broken';
  constructor(callId: string, state: string, column: string) {
    super(`call ${callId} is ${state}, but its ${column} is empty`);
  }
}
