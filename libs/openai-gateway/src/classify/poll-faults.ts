/**
 * What goes wrong with a GET or a cancel has no failure class: the call is accepted, perhaps paid, and goes on whatever becomes of
 * the question. It is asked again until the deadline of the call; see follow-response.ts (P1). But what is learned about the
 * account holds for new calls.
 */
import type { AnsweredExchange, Exchange } from '../openai/exchange.js';
import type { BreakerEffect } from './breaker-effect.js';

export type PollExchange = Exclude<Exchange, AnsweredExchange>;

export interface PollFaultRow {
  /** For specs and docs. */
  readonly name: string;
  readonly when: (fault: PollExchange) => boolean;
  readonly breaker: BreakerEffect;
  /** In a row, until the response counts as gone. Without it: no number of them ends the call. */
  readonly goneAfter?: number;
}

/** The first row that fits decides; the last takes all. */
export const pollFaults: readonly [...PollFaultRow[], PollFaultRow] = [
  {
    name: "404 of OpenAI's own",
    when: (fault) => fault.kind === 'refused' && fault.status === 404 && fault.isOpenAis,
    breaker: 'none',
    goneAfter: 4,
  },
  {
    name: '401',
    when: (fault) => fault.kind === 'refused' && fault.status === 401,
    breaker: 'latch_account',
  },
  { name: 'anything else', when: () => true, breaker: 'none' },
];

export const pollFaultOf = (fault: PollExchange): PollFaultRow =>
  pollFaults.find((row) => row.when(fault)) ?? pollFaults[pollFaults.length - 1]!;
