import { SHORT_WAIT_MS } from '#libs/domain';
import type { ExecutionStatus } from '../schema/index.js';

/** What the processor knows of a run when work for it arrives. `dueInMs` is by the database's clock; null: nothing is due. */
export interface KnownRun {
  readonly status: ExecutionStatus;
  readonly dispatch: number;
  readonly hop: number;
  readonly dueInMs: number | null;
}

export type Admission =
  /** The first message of a run not seen before. */
  | { readonly kind: 'insert' }
  /** The retry that the run waits for. It may be up to 5 s early: the claim honours the row's own time. */
  | { readonly kind: 'make_ready' }
  /** It comes out of its tier too early by 5 s or more: once more through the tier that fits. */
  | { readonly kind: 'hop'; readonly waitMs: number }
  /** Nothing to do: it is settled. */
  | { readonly kind: 'settle'; readonly because: 'duplicate' | 'stale' | 'unknown_run' };

/** A compare-and-set on state, dispatch and hop: a message that is not exactly the one due changes nothing. */
export function decideAdmission(
  known: KnownRun | undefined,
  work: { readonly dispatch: number; readonly hop: number },
): Admission {
  if (known === undefined) {
    return work.dispatch === 1 ? { kind: 'insert' } : { kind: 'settle', because: 'unknown_run' };
  }
  if (known.status !== 'retrying' || known.dispatch > work.dispatch) {
    return { kind: 'settle', because: known.dispatch > work.dispatch ? 'stale' : 'duplicate' };
  }
  if (known.dispatch !== work.dispatch || known.hop !== work.hop) {
    return { kind: 'settle', because: 'stale' };
  }
  const waitMs = known.dueInMs ?? 0;
  return waitMs >= SHORT_WAIT_MS ? { kind: 'hop', waitMs } : { kind: 'make_ready' };
}
