/** Writes down how a response ended that nobody follows: what was paid for stands in the ledger, whoever asks for it later. */
import { classifyFailure } from './classify/classify-failure.js';
import type { CallFact } from './classify/call-fact.js';
import type { CallLedger } from './ledger/call-ledger.store.js';
import type { Usage } from './model-call.js';
import { costOfEnd, type Bill } from './money/cost-of-end.js';
import type { PriceTable } from './money/price-table.js';
import type { EndedReading } from './openai/follow-response.js';

export interface ResponseEnd {
  readonly callId: string;
  /** That was asked for. */
  readonly model: string;
  readonly responseId: string;
  readonly requestId: string | null;
  readonly reading: EndedReading | { readonly kind: 'gone' };
  /** What a cancelled response was cancelled by. */
  readonly cancelled: 'cancelled_on_request' | 'cancelled_elsewhere';
}

/** False: the call had ended otherwise. */
export async function bookEnd(
  end: ResponseEnd,
  ledger: CallLedger,
  prices: PriceTable,
): Promise<boolean> {
  const { callId, responseId, requestId, reading } = end;
  const ids = { responseId, requestId };
  const fail = (
    state: 'failed' | 'cancelled',
    fact: CallFact,
    usage: Usage | null,
    bill: Bill | null,
  ) => {
    const failure = failureOf(fact);
    const cost = costOfEnd(bill, failure, end.model, prices);
    return ledger.end({ state, callId, attempt: null, failure, usage, cost });
  };
  switch (reading.kind) {
    case 'completed': {
      const { output, usage, model: servedModel } = reading;
      const cost = costOfEnd(reading.bill, null, end.model, prices);
      const told = { servedModel, output, usage, cost, attempt: null, estimated: false };
      return ledger.end({ state: 'done', callId, ...ids, ...told });
    }
    case 'ended_badly':
      return fail('failed', reading.fact, reading.usage, reading.bill);
    case 'cancelled':
      return fail('cancelled', { kind: end.cancelled, ...ids }, null, null);
    case 'gone':
      return fail('failed', { kind: 'response_gone', ...ids }, null, null);
  }
}

/** No prompt is at hand here, so none can be quoted. */
export const failureOf = (fact: CallFact) =>
  classifyFailure(fact, { nowMs: Date.now(), sentTexts: [] });
