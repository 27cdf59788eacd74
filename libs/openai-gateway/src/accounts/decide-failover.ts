/**
 * Whether a call that one account turned away may be sent with the next one. Only what was surely not worked on, and what another
 * account may well take: never where the outcome is unknown, or where it may have been paid.
 */
import type { FailureClass } from '#libs/domain';
import type { NoEntrance } from '../gate/call-gate.js';
import type { CallFailure } from '../model-call.js';

/** After a refusal shorter waits are waited with the account that asked for them, unless another one takes the call at once. */
export const LONG_WAIT_MS = 60_000;

/**
 * How long a call waits for its turn with one account before the next one is asked whether it takes it at once. A share of the limits is
 * asked for every half second at the latest: who has got no turn in two asks waits for the limit, not for a share on its way. It is
 * half of what a claim counts on, so that what is claimed for all accounts gets to them. Shorter waits stay: what the account has
 * cached of a prompt is worth more.
 */
export const QUEUE_WAIT_MS = 1_000;

/** It has its turn next with this account, and has not been sent. */
export const mayLeaveQueue = (waitedMs: number): boolean => waitedMs >= QUEUE_WAIT_MS;

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
export function mayGoElsewhere(entrance: NoEntrance, nowMs: number): boolean {
  if (entrance.kind !== 'parked') return false;
  const { reason, untilMs } = entrance;
  return reason === 'outage' || (untilMs !== null && untilMs - nowMs >= LONG_WAIT_MS);
}

export function mayFailOver(failure: FailedOver): boolean {
  return failure.paid === 'no' && (goesElsewhere[failure.class]?.(failure) ?? false);
}
