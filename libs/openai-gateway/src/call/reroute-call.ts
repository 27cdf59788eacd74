/** A call goes on with the next account of its model's route: its own one has turned it away, or takes no calls now. */
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
  const { callId, request, owner, account, parts } = call;
  const next = parts.accounts.after(request.model, account.name);
  if (next === null) return false;
  const mode = call.modeWith(next);
  const rerouting = { callId, fence: owner.fence, account: next.name, mode };
  if (!(await parts.ledger.reroute(rerouting))) return false;
  if (refused !== null) parts.passage.refused(refused);
  call.anchors.remove(anchor);
  call.goWith(next);
  return true;
}
