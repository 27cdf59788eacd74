/** Writes down how a call ended that OpenAI had taken: with a result or without, told by its response or by its anchor. */
import type { AnchorWord } from '../anchors/look-at-anchor.js';
import type { CallFact } from '../classify/call-fact.js';
import type { ModelOutput, Usage } from '../model-call.js';
import { costOfEnd, type Bill } from '../money/cost-of-end.js';
import { estimateUsage } from '../money/estimate-tokens.js';
import { lookAgain, type CallAtHand, type Step } from './call-at-hand.js';

/** What a call used and cost, and how that is known. */
export interface FoundEnd {
  readonly usage: Usage | null;
  /** null: none was seen. */
  readonly bill: Bill | null;
  /** The sending on whose anchor it was found; null (default): it is what OpenAI says of the response. */
  readonly attempt?: number | null;
  /** Its usage is an estimate of ours; default no. */
  readonly estimated?: boolean;
}

/** A result, and where it was found. */
export interface FoundResult extends FoundEnd {
  readonly output: ModelOutput;
  readonly usage: Usage;
  readonly model: string;
  readonly responseId: string | null;
  readonly requestId: string | null;
}

/** @param anchor that it was sent on */
export async function completeCall(
  call: CallAtHand,
  end: FoundResult,
  anchor: string | null,
): Promise<Step> {
  const { callId, request, parts } = call;
  const { output, usage, model, bill, responseId, requestId } = end;
  const { attempt = null, estimated = false } = end;
  const cost = costOfEnd(bill, null, request.model, parts.prices);
  const stored = await parts.ledger.end({
    ...{ state: 'done', callId, servedModel: model, output, usage, responseId, requestId },
    ...{ cost, attempt, estimated },
  });
  if (!stored) return lookAgain;
  call.anchors.remove(anchor);
  const ids = { callId, responseId, requestId };
  return { kind: 'completed', ...ids, output, usage, model, reused: false };
}

/** @param anchor that it was sent on */
export async function failCall(
  call: CallAtHand,
  state: 'failed' | 'cancelled',
  fact: CallFact,
  { usage, bill, attempt = null, estimated = false }: FoundEnd,
  anchor: string | null,
): Promise<Step> {
  const { callId, request, parts } = call;
  const failure = call.classify(fact);
  call.logFailure(failure);
  const cost = costOfEnd(bill, failure, request.model, parts.prices);
  const end = { state, callId, attempt, failure, usage, cost, estimated } as const;
  if (!(await parts.ledger.end(end))) return lookAgain;
  call.anchors.remove(anchor);
  return { kind: 'failed', callId, failure };
}

/** The sending whose reply was lost, or whose response is gone. */
interface SentOn {
  readonly anchor: string;
  /** null: whichever it was, OpenAI had accepted it. */
  readonly attempt: number | null;
  readonly responseId: string | null;
}

/** What it used is not in the conversation: it is estimated, and nobody knows what it cost. */
export async function endByAnchor(
  call: CallAtHand,
  word: Extract<AnchorWord, { kind: 'answer' | 'part' }>,
  { anchor, attempt, responseId }: SentOn,
): Promise<Step> {
  const { callId, request, parts } = call;
  const ids = { responseId, requestId: null };
  const text = word.kind === 'part' ? word.text : word.output.text;
  const usage = await estimateUsage(request, text);
  const found = { attempt, usage, bill: null, estimated: true };
  parts.log.info({ callId, anchor }, 'the answer to a lost call was found');
  if (word.kind === 'answer') {
    const { model } = request;
    return completeCall(call, { ...ids, ...found, output: word.output, model }, anchor);
  }
  const fact = { kind: 'incomplete_response', reason: null, ...ids } as const;
  return failCall(call, 'failed', fact, found, anchor);
}
