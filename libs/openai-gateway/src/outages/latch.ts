/** A lane that nobody may send to until somebody, or a probe, has found it mended. */
import { failureRules } from '#libs/domain';
import type { LaneFaultClass } from './lane-fault.js';

export interface Lane {
  /** By name, as the settings have it. */
  readonly account: string;
  /** null: every model of the account. */
  readonly model: string | null;
}

export interface Latch extends Lane {
  /** Bare UUID. */
  readonly latchId: string;
  readonly class: LaneFaultClass;
  /** OpenAI's own where it gave one. */
  readonly code: string;
  readonly httpStatus: number | null;
  readonly requestId: string | null;
  /** For whoever has to mend it. No prompt or output text. */
  readonly message: string;
  readonly latchedAt: Date;
  /** Calls let through so far, to see whether it is mended. */
  readonly probes: number;
}

export interface ProbePolicy {
  /** Default 600,000: a billing stop is mended by people, and each probe may cost. */
  readonly billingProbeMs: number;
  /** The first probe of the other classes; each later one waits twice as long. Default 30,000. */
  readonly firstProbeMs: number;
  /** Default 600,000. */
  readonly maxProbeMs: number;
}

/** How long after the last probe (or the latching) the next one is due. */
export function probeDelayMs(
  { class: failed, probes }: Pick<Latch, 'class' | 'probes'>,
  policy: ProbePolicy,
): number {
  if (failed === 'billing') return policy.billingProbeMs;
  return Math.min(policy.maxProbeMs, policy.firstProbeMs * 2 ** Math.min(probes, 30));
}

/** For the person who waits. */
export function wordsForLatch({ class: failed }: Pick<Latch, 'class'>): string {
  return `${failureRules[failed].people}, and the people who can mend it have been told`;
}

export const laneKey = ({ account, model }: Lane): string => JSON.stringify([account, model]);
