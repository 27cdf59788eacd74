import { REQUEST_UNREADABLE } from '#libs/contracts';
import { SHORT_WAIT_MS } from '#libs/domain';
import type { ExecutionStatus } from '../schema/index.js';
import type { IncomingWork } from './incoming-work.js';

/** What the processor knows of a run when work for it arrives. `dueInMs` is by the database's clock; null: nothing is due. */
export interface KnownRun {
  readonly status: ExecutionStatus;
  readonly dispatch: number;
  readonly hop: number;
  readonly dueInMs: number | null;
  /** It came as a record that could not be read, and waits for a person. */
  readonly lacksRequest: boolean;
}

export type Admission =
  /** The first message of a run not seen before. */
  | { readonly kind: 'insert' }
  /** The api has seen events of this run, and nothing of it is here: it must not be carried out a second time by itself. */
  | { readonly kind: 'insert_forgotten' }
  /** The run's request could not be read when it came: here it is. The run goes on waiting for a person. */
  | { readonly kind: 'bring_request' }
  /** The api asks: the run's newest event goes out again. */
  | { readonly kind: 'repeat' }
  /** The retry that the run waits for. It may be up to 5 s early: the claim honours the row's own time. */
  | { readonly kind: 'make_ready' }
  /** It comes out of its tier too early by 5 s or more: once more through the tier that fits. */
  | { readonly kind: 'hop'; readonly waitMs: number }
  /** Nothing to do: it is settled. */
  | { readonly kind: 'settle'; readonly because: 'duplicate' | 'stale' | 'unknown_run' };

/**
 * A compare-and-set on state, dispatch and hop: a message that is not exactly the one due changes nothing.
 *
 * Only what the api sends again on purpose is answered. Kafka delivers anything again, in bulk and just when there is trouble
 * enough: nobody has asked then, and an event for each such record would make the trouble greater.
 */
export function decideAdmission(
  known: KnownRun | undefined,
  work: Pick<IncomingWork, 'dispatch' | 'hop' | 'seenVersion' | 'unworkable'>,
): Admission {
  if (known === undefined) {
    if (work.dispatch !== 1) return { kind: 'settle', because: 'unknown_run' };
    return { kind: (work.seenVersion ?? 0) > 0 ? 'insert_forgotten' : 'insert' };
  }
  if (known.lacksRequest && work.unworkable?.code !== REQUEST_UNREADABLE) {
    return { kind: 'bring_request' };
  }
  if (work.seenVersion !== null) return { kind: 'repeat' };
  if (known.status !== 'retrying' || known.dispatch > work.dispatch) {
    return { kind: 'settle', because: known.dispatch > work.dispatch ? 'stale' : 'duplicate' };
  }
  if (known.dispatch !== work.dispatch || known.hop !== work.hop) {
    return { kind: 'settle', because: 'stale' };
  }
  const waitMs = known.dueInMs ?? 0;
  return waitMs >= SHORT_WAIT_MS ? { kind: 'hop', waitMs } : { kind: 'make_ready' };
}
