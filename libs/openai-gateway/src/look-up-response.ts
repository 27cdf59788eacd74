/**
 * What a webhook leads to: it brings the id of a response that has ended, and the ledger may not know whose it was.
 *
 * (U1) A webhook's word is only where to look. What is written down comes from OpenAI, fetched by the id, under our own key.
 * (U2) The call is the one that the response's metadata names, and only if the ledger has it: others may share the account.
 * (U3) A call that has a response of another sending keeps it: the first that was accepted stays (call-ledger.store.ts, L3).
 * (U4) A call that somebody follows is left to him for a while. What nobody follows any more is fetched and booked.
 * (U5) Looking up is repeatable, and may happen in two processes at once: facts are written once.
 * (U6) Each account signs with a secret of its own: its responses are fetched there.
 */
import { validate as isUuid } from 'uuid';
import type { Response } from 'openai/resources/responses/responses';
import type { Database } from '#libs/postgres';
import type { Accounts } from './accounts/accounts.js';
import { bookEnd } from './book-end.js';
import type { GatewayTiming } from './gateway-options.js';
import type { CallLedger } from './ledger/call-ledger.store.js';
import { callOf, callOfResponse, type FoundCall } from './ledger/find-call.js';
import { costOfEnd } from './money/cost-of-end.js';
import type { PriceTable } from './money/price-table.js';
import type { EndedReading } from './openai/follow-response.js';
import { readResponse } from './openai/read-response.js';
import type { ToldCalls } from './told-calls.js';

export interface LookUpParts {
  readonly database: Database;
  readonly ledger: CallLedger;
  readonly accounts: Accounts;
  readonly prices: PriceTable;
  readonly timing: GatewayTiming;
  readonly told: ToldCalls;
}

export type LookUp =
  /** The ledger has learned what became of the call. */
  | { readonly kind: 'booked'; readonly callId: string; readonly runId: string }
  /** The ledger knew. */
  | { readonly kind: 'known'; readonly callId: string; readonly runId: string }
  /** Another sending of the call was accepted, or has ended it. */
  | { readonly kind: 'twin'; readonly callId: string; readonly runId: string }
  /** Somebody follows it: look again later (U4). */
  | { readonly kind: 'in_hand' }
  /** No call of this ledger. */
  | { readonly kind: 'not_ours' }
  /** OpenAI no longer has the response. */
  | { readonly kind: 'gone' }
  /** OpenAI did not answer, or not with the end: look again. */
  | { readonly kind: 'not_yet' };

/** @param isFirst whether nobody has looked for this webhook before (U4) */
export async function lookUpResponse(
  told: { readonly responseId: string; readonly account: string },
  isFirst: boolean,
  parts: LookUpParts,
): Promise<LookUp> {
  const { responseId } = told;
  const known = await callOfResponse(parts.database, responseId);
  if (known !== null && known.state !== 'accepted') return tellOf('known', known);
  if (known !== null && isFirst) return { kind: 'in_hand' };
  const timeoutMs = parts.timing.requestTimeoutMs;
  const account = parts.accounts.of(known?.account ?? told.account); // (U6)
  const exchange = await account.endpoint.retrieve(responseId, { timeoutMs }); // (U1)
  if (exchange.kind === 'refused' && exchange.status === 404 && exchange.isOpenAis)
    return { kind: 'gone' };
  if (exchange.kind !== 'answered') return { kind: 'not_yet' };
  const { response, requestId } = exchange;
  const call = known ?? (await callNamedBy(response, parts.database));
  if (call === null || call.account !== account.name) return { kind: 'not_ours' };
  const reading = readResponse(response, requestId);
  if (reading.kind === 'pending') return { kind: 'not_yet' };
  return book(call, { responseId, requestId, reading }, parts);
}

/** (U2) */
async function callNamedBy({ metadata }: Response, database: Database): Promise<FoundCall | null> {
  const callId = metadata?.call_id;
  return isUuid(callId) ? callOf(database, callId!) : null;
}

interface FetchedEnd {
  readonly responseId: string;
  readonly requestId: string | null;
  readonly reading: EndedReading;
}

async function book(call: FoundCall, end: FetchedEnd, parts: LookUpParts): Promise<LookUp> {
  const { ledger, prices, told } = parts;
  const { callId, model } = call;
  const { responseId, requestId } = end;
  if (isGivenUp(call)) return bookCost(call, end, parts);
  if (call.state === 'planned') return { kind: 'not_ours' };
  const held = await ledger.markAccepted({ callId, responseId, requestId });
  if (held !== responseId) return tellOf('twin', call); // (U3)
  const cancelled = call.cancelRequested ? 'cancelled_on_request' : 'cancelled_elsewhere';
  const isBooked = await bookEnd({ callId, model, ...end, cancelled }, ledger, prices);
  told.tell(callId);
  return tellOf(isBooked ? 'booked' : 'known', call);
}

/** A redrive has given it up, and another call takes its place: the result is not used, but it was paid for. */
async function bookCost(call: FoundCall, end: FetchedEnd, { ledger, prices }: LookUpParts) {
  const { callId, model } = call;
  const { responseId, requestId, reading } = end;
  const usage = 'usage' in reading ? reading.usage : null;
  const failure = {
    ...call.failure!,
    responseId,
    paid: usage ? ('yes' as const) : call.failure!.paid,
  };
  await ledger.markAccepted({ callId, responseId, requestId });
  const cost = costOfEnd('bill' in reading ? reading.bill : null, failure, model, prices);
  await ledger.end({ state: 'failed', callId, attempt: null, failure, usage, cost });
  return tellOf('booked', call);
}

const isGivenUp = ({ state, responseId, failure }: FoundCall): boolean =>
  state === 'failed' && responseId === null && failure?.class === 'outcome_unknown';

const tellOf = <Kind extends 'booked' | 'known' | 'twin'>(kind: Kind, call: FoundCall) => ({
  kind,
  callId: call.callId,
  runId: call.runId,
});
