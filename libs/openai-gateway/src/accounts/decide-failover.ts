/**
 * Whether a call that one account turned away may be sent with the next one. Only what was surely not worked on, and what another
 * account may well take: never where the outcome is unknown, or where it may have been paid.
 */
import type { FailureClass } from '#libs/domain';
import type { Entrance } from '../gate/call-gate.js';
import type { CallFailure } from '../model-call.js';

/** Shorter waits are waited: the limits of the first account come back sooner than a change of account is worth. */
export const LONG_WAIT_MS = 60_000;

const goesElsewhere: Readonly<Partial<Record<FailureClass, (failure: FailedOver) => boolean>>> = {
  not_sent: () => true,
  authorization: () => true,
  billing: () => true,
  configuration: () => true,
  /** A limit of the day. */
  throttled: ({ retryAfterMs }) => (retryAfterMs ?? 0) >= LONG_WAIT_MS,
};

type FailedOver = Pick<CallFailure, 'class' | 'paid' | 'retryAfterMs'>;

/** A call that may not leave: its lane is shut, or held for longer than is waited. Nothing of it was sent. */
export function mayGoElsewhere(entrance: Exclude<Entrance, { kind: 'entered' }>, nowMs: number) {
  if (entrance.kind !== 'parked') return false;
  const { reason, untilMs } = entrance;
  return reason === 'outage' || (untilMs !== null && untilMs - nowMs >= LONG_WAIT_MS);
}

export function mayFailOver(failure: FailedOver): boolean {
  return failure.paid === 'no' && (goesElsewhere[failure.class]?.(failure) ?? false);
}
