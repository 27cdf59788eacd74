/**
 * Whose fault a transient one was: of the call that met it, or of its lane. Few calls are enough to tell. Pure.
 *
 * (V1) Who has set out later and was answered clears the lane: the fault was the call's own.
 * (V2) Where nothing has worked since, and another call has failed too, it is the lane's. What never left says nothing of its call,
 *      so one such call is enough.
 * (V3) A call that fails alone has the benefit of the doubt for its first tries, and none after that: a request that OpenAI cannot
 *      digest comes to its end, whoever is asked and however often a process forgets.
 * (V4) What is not known yet is known when the lane has been silent for `verdictMs`.
 */
import type { GivenBackClass } from './lane-fault.js';

export interface FaultPolicy {
  /** How long a call that met a fault waits for what others meet. Default 2,000. */
  readonly verdictMs: number;
  /** Faults of other calls count for so long, unless the lane has worked since. Default 600,000. */
  readonly rememberMs: number;
  /** Tries of a call that fails alone, and uses no attempt with it. Default 3. */
  readonly doubtedTries: number;
}

export interface FaultFacts {
  readonly class: GivenBackClass;
  /** 1-based, of its item: what the ledger counts, over all processes. */
  readonly try: number;
  /** Its lane takes no calls. */
  readonly isShut: boolean;
  /** A call that set out after the fault was answered as it should be. */
  readonly hasWorkedSince: boolean;
  /** Another call has met a fault since the lane last worked. */
  readonly othersFailed: boolean;
  readonly agoMs: number;
}

export type FaultVerdict = 'of_call' | 'of_lane' | 'in_doubt' | 'not_known_yet';

export function decideFault(
  facts: FaultFacts,
  { verdictMs, doubtedTries }: Pick<FaultPolicy, 'verdictMs' | 'doubtedTries'>,
): FaultVerdict {
  if (!facts.isShut && facts.hasWorkedSince) return 'of_call'; // (V1)
  if (!facts.isShut && facts.agoMs < verdictMs) return 'not_known_yet'; // (V4)
  if (facts.class === 'not_sent' || facts.othersFailed) return 'of_lane'; // (V2)
  return facts.try <= doubtedTries ? 'in_doubt' : 'of_call'; // (V3)
}
