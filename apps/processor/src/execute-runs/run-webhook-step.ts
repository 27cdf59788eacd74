/**
 * A step that tells somebody outside: look into the effect ledger, decide, do one thing, look again.
 *
 * (W1) Nothing is sent but what the ledger has written down (F1), and not before it says `sending` (F2).
 * (W2) On the open connection, before the first byte, our lease is looked at once more: an owner who was frozen sends nothing.
 * (W3) A message on its way can't be called back: it is waited for, whatever happens to the run, and what came of it is written
 *      down. The sender's own time limits bound that.
 * (W4) The step is done when its receipt is saved under our fence. After that no takeover, retry or redrive comes back here.
 */
import { performance } from 'node:perf_hooks';
import { defaultRetryPolicy, runIdOf } from '#libs/domain';
import { pauseAt } from '#libs/pause-points';
import {
  classifyDeadSender,
  classifyNoRoute,
  classifyReply,
  type DeliveryEnd,
  type DeliveryFailure,
  type Route,
} from '#libs/webhooks';
import type { WebhookStep } from '#libs/workflows';
import { decideEffect } from './decide-effect.js';
import { isRetryable } from './decide-outcome.js';
import { deliveryIdOf, effectIdOf } from './delivery-id.js';
import type { LedgerEffect, PlannedEffect, Sending } from './effect-ledger.store.js';
import type { ExecuteTools } from './execute-tools.js';
import { fenceLost } from './fence-lost.js';
import type { Lease } from './keeper.js';
import type { OpenRun } from './open-run.js';
import { abortedBy, type StepPass } from './pass.js';

/** Every round ends a state of the ledger; more rounds than states can only be a bug. */
const MAX_ROUNDS = 8;
/** Standard Webhooks asks for less than 20 KB; this is where we stop. */
const MAX_BODY_BYTES = 262_144;

/** What one webhook step has to do with. */
interface Work {
  readonly step: WebhookStep<unknown>;
  readonly index: number;
  readonly run: OpenRun;
  readonly lease: Lease;
  readonly tools: ExecuteTools;
}

type Round = StepPass | { readonly kind: 'look_again' };
const lookAgain: Round = { kind: 'look_again' };

export async function runWebhookStep(
  step: WebhookStep<unknown>,
  index: number,
  run: OpenRun,
  lease: Lease,
  tools: ExecuteTools,
  tell: (itemsDone: null, itemsTotal: null) => void,
): Promise<StepPass> {
  tell(null, null);
  if (run.finished.has(index, 0)) return { kind: 'step_done' }; // (W4)
  const work: Work = { step, index, run, lease, tools };
  const planned = plan(work);
  if (planned.body.length > MAX_BODY_BYTES) return failed(work, tooLarge(planned.body.length));
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const effect = await tools.effects.open(planned, lease.claim.fence);
    const end = effect === null ? lost(work) : await act(effect, work);
    if (end.kind !== 'look_again') return end;
  }
  throw new EffectUnsettledError(planned.effectId);
}

/** The body as it would be sent if this were the first time; the ledger keeps the first. */
function plan({ step, index, run, tools }: Work): PlannedEffect {
  const { tenant, run_id: runId } = run.row;
  const body = {
    type: step.type,
    timestamp: new Date(tools.nowMs()).toISOString(),
    runId: runIdOf(runId),
    data: step.data(run.context),
  };
  return {
    ...{ tenant, runId, step: index, target: step.target, idempotent: step.idempotent },
    effectId: effectIdOf({ tenant, runId, step: index }),
    body: Buffer.from(JSON.stringify(body)),
  };
}

async function act(effect: LedgerEffect, work: Work): Promise<Round> {
  const { run, lease, tools } = work;
  const policy = { ...defaultRetryPolicy, ...run.workflow.retry };
  const decision = decideEffect(effect, (failure) => isRetryable(failure, policy));
  switch (decision.kind) {
    case 'done':
      return saveReceipt(effect, decision.status, work);
    case 'stopped':
      lease.abort('cancel_requested');
      return abortedBy(lease);
    case 'send':
      return route(effect, decision, work);
    case 'mark_unknown': {
      const failure = classifyDeadSender(aboutOf(effect, work));
      await tools.effects.end(effect.effectId, decision.attempt, {
        ...{ state: 'unknown', failure, answer: null },
      });
      return lookAgain;
    }
    case 'failed':
      return failed(work, decision.failure);
  }
}

/** Nothing is marked as being sent that has nowhere to go. */
async function route(
  effect: LedgerEffect,
  { from, attempt }: { readonly from: LedgerEffect['state']; readonly attempt: number },
  work: Work,
): Promise<Round> {
  const { step, lease, tools } = work;
  const target = tools.webhookTargets.get(step.target);
  if (target === undefined) return failed(work, targetMissing(step.target));
  const found = await tools.webhooks.routeTo(target);
  if (found.kind !== 'route') {
    return failed(work, classifyNoRoute(found, `webhook to ${step.target} (${target.url.host})`));
  }
  if (lease.signal.aborted) return abortedBy(lease);
  const { run_id: runId } = work.run.row;
  const { effectId } = effect;
  const { fence } = lease.claim;
  const { host } = target.url;
  const sending = { runId, effectId, fence, from, attempt, host };
  if (!(await tools.effects.markSending(sending))) return lookAgain;
  return send(found, effect, sending, work);
}

/** The ledger says that it is being sent (W1). */
async function send(
  route: Route,
  effect: LedgerEffect,
  sending: Sending,
  work: Work,
): Promise<Round> {
  const { step, lease, tools } = work;
  const { effectId, attempt, host } = sending;
  const delivery = { deliveryId: deliveryIdOf(effectId), body: effect.body };
  const sentAtMs = performance.now();
  const sentTo = { host, at: new Date(tools.nowMs()) };
  const reply = await tools.webhooks.send(route, delivery, () => {
    pauseAt('effect.sending');
    return lease.isAlive() && !lease.signal.aborted; // (W2)
  });
  if (reply.kind === 'called_off') {
    await tools.effects.putBack(sending);
    return lease.signal.aborted ? abortedBy(lease) : lost(work);
  }
  pauseAt('effect.replied');
  const end = classifyReply(reply, step.idempotent, aboutOf({ ...effect, sentTo }, work));
  await tools.effects.end(effectId, attempt, end); // (W3)
  count(end, performance.now() - sentAtMs, work, sending);
  if (end.state === 'done') return saveReceipt(effect, end.status, work);
  return lease.signal.aborted ? abortedBy(lease) : failed(work, end.failure);
}

/** (W4) */
async function saveReceipt(effect: LedgerEffect, status: number, work: Work): Promise<StepPass> {
  const { step, index, run, lease, tools } = work;
  pauseAt('effect.done');
  const { run_id: runId, tenant } = run.row;
  const value = step.read({ deliveryId: deliveryIdOf(effect.effectId), status });
  const point = { tenant, runId, fence: lease.claim.fence, step: index, item: 0, value };
  if (!(await tools.checkPoints.save(point))) return lost(work);
  pauseAt('check-point.saved');
  run.finished.set(index, 0, value);
  return { kind: 'step_done' };
}

function lost({ lease, tools }: Work): StepPass {
  fenceLost(lease, tools, 'effect');
  return abortedBy(lease);
}

function failed({ step }: Work, failure: DeliveryFailure): StepPass {
  const ids = { requestId: null, responseId: null };
  return { kind: 'failed', failures: [{ ...failure, ...ids, step: step.name, item: null }] };
}

/** What support needs in order to ask the receiver. Never the body. */
function aboutOf({ effectId, sentTo }: LedgerEffect, { step }: Work): string {
  const where = sentTo === null ? '' : ` (${sentTo.host})`;
  const when = sentTo === null ? '' : `, sent ${sentTo.at.toISOString()}`;
  return `webhook to ${step.target}${where}, delivery ${deliveryIdOf(effectId)}${when}`;
}

function count(end: DeliveryEnd, tookMs: number, { step, run, tools }: Work, sending: Sending) {
  const failureClass = end.state === 'done' ? 'none' : end.failure.class;
  const { target } = step;
  tools.metrics.add('holdfast_effects_total', { target, outcome: end.state, class: failureClass });
  tools.metrics.observe('holdfast_effect_duration_seconds', { target }, tookMs / 1_000);
  const { effectId, attempt, host } = sending;
  const facts = {
    ...{ runId: runIdOf(run.row.run_id), tenant: run.row.tenant, target, host },
    ...{ deliveryId: deliveryIdOf(effectId), attempt, outcome: end.state },
  };
  if (end.state === 'done')
    return tools.log.info({ ...facts, httpStatus: end.status }, 'webhook delivered');
  const { class: said, code, httpStatus } = end.failure;
  tools.log.warn({ ...facts, class: said, code, httpStatus }, 'webhook not delivered');
}

function targetMissing(target: string): DeliveryFailure {
  const message = `webhook target "${target}" is not set: name it in PROCESSOR_WEBHOOK_TARGETS, then redrive the run`;
  return ownFailure('configuration', 'webhook_target_missing', message);
}

function tooLarge(bytes: number): DeliveryFailure {
  const message = `what the webhook step wants to say has ${bytes} bytes, more than ${MAX_BODY_BYTES}; nothing was sent`;
  return ownFailure('invalid_request', 'webhook_too_large', message);
}

function ownFailure(
  failureClass: DeliveryFailure['class'],
  code: string,
  message: string,
): DeliveryFailure {
  return { class: failureClass, code, message, httpStatus: null, retryAfterMs: null };
}

export class EffectUnsettledError extends Error {
  override readonly name = 'EffectUnsettledError';
  readonly code = 'effect_unsettled';
  constructor(effectId: string) {
    super(
      `effect ${effectId} changed in the ledger ${MAX_ROUNDS} times without coming to an outcome`,
    );
  }
}
