/** What a failed call says of its lane. Pure. */
import type { FailureClass } from '#libs/domain';

/** Classes that say nothing about one call and everything about the account, or about the model on it. */
export type LaneFaultClass = 'billing' | 'authorization' | 'configuration';

/** Whether no other call of its lane would fare better, until somebody mends it. */
export function isLaneFault(failed: FailureClass): failed is LaneFaultClass {
  return failed === 'billing' || failed === 'authorization' || failed === 'configuration';
}

/** Classes of calls that surely cost nothing: where the fault was their lane's, their runs lose no attempt. */
export type GivenBackClass = 'not_sent' | 'server_error';

export function isGivenBack(failed: FailureClass): failed is GivenBackClass {
  return failed === 'not_sent' || failed === 'server_error';
}
