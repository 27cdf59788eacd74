/** A call goes on with another account of its model's route: its own one has turned it away, takes no calls now, or lets it wait. */
import type { Account } from '../accounts/accounts.js';
import type { CallFailure } from '../model-call.js';
import type { CallAtHand } from './call-at-hand.js';

/**
 * False: there is no other account for it, or it is no longer ours to send.
 * @param refused how the account before turned it away; null: nothing was sent
 * @param anchor of the account before, where nothing was left on it
 */
export async function rerouteCall(
  call: CallAtHand,
  refused: CallFailure | null,
  anchor: string | null,
): Promise<boolean> {
  const next = call.parts.accounts.after(call.request.model, call.account.name);
  return next !== null && moveCall(call, next, refused, anchor);
}

/** False: it is no longer ours to send. */
export async function moveCall(
  call: CallAtHand,
  to: Account,
  refused: CallFailure | null,
  anchor: string | null,
): Promise<boolean> {
  const { callId, owner, parts } = call;
  const rerouting = { callId, fence: owner.fence, account: to.name, mode: call.modeWith(to) };
  if (!(await parts.ledger.reroute(rerouting))) return false;
  if (refused !== null) parts.passage.refused(refused);
  call.anchors.remove(anchor);
  call.goWith(to);
  return true;
}
