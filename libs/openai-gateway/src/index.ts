/** The front door of the OpenAI gateway: one call goes in, one outcome comes out, and it is paid for once. */
import { AddCallAccount1795700500000 } from './migrations/add-call-account.js';
import { AddAnchors1795700300000 } from './migrations/add-anchors.js';
import { AddCallSender1795494000000 } from './migrations/add-call-sender.js';
import { AddMoney1795700400000 } from './migrations/add-money.js';
import { CommentCalls1795493801500 } from './migrations/comment-calls.js';
import { CreateCallStops1795494100000 } from './migrations/create-call-stops.js';
import { CreateCallLeftovers1795700320000 } from './migrations/create-call-leftovers.js';
import { CreateCalls1764000100000 } from './migrations/create-calls.js';
import { CreateLimitBuckets1795700100000 } from './migrations/create-limit-buckets.js';
import { CreateLatches1795700200000 } from './migrations/create-latches.js';
import { CreateRunFences1795700310000 } from './migrations/create-run-fences.js';
import { IndexCallResponses1795646000000 } from './migrations/index-call-responses.js';

export type {
  CallBudget,
  CallFailure,
  CallOwner,
  CompletedCall,
  FailedCall,
  ModelCallOutcome,
  ModelCallRequest,
  ModelOutput,
  ParkedCall,
  Usage,
} from './model-call.js';
export { breakerEffects, type BreakerEffect } from './classify/breaker-effect.js';
export { classificationTable, type ClassificationRow } from './classify/classification-table.js';
export { pollFaults, type PollFaultRow } from './classify/poll-faults.js';
export {
  capabilities,
  DEFAULT_ACCOUNT,
  type AccountOptions,
  type Capability,
} from './accounts/account.js';
export type { AccountRoutes } from './accounts/accounts.js';
export { callIdOf, type CallIdentity } from './call-id.js';
export type { ClosedCalls } from './close-calls.js';
export type { AnchorOptions } from './anchors/anchors.js';
export type { GatewayOptions, GatewayTiming, WebhookOptions } from './gateway-options.js';
export { CallLedger } from './ledger/call-ledger.store.js';
export { decideCall, type CallDecision } from './ledger/decide-call.js';
export { bumpCallFences, bumpFences, type RunFence } from './ledger/bump-fences.js';
export type { DayBudgets } from './money/budget.js';
export { PriceTable, type PriceSettings, type SettledPrice } from './money/price-table.js';
export { forgetOutputs, removeCalls, removeDayBudgets } from './ledger/forget-calls.js';
export { flexIsFull, newestCalls, type NewestCall } from './ledger/newest-calls.js';
export type { OpenCall } from './ledger/open-calls.js';
export {
  noteAcceptedCalls,
  noteLeftovers,
  putOffLeftover,
  settleLeftover,
  takeLeftovers,
  type Leftover,
} from './ledger/leftovers.js';
export { giveUpUnknownCalls, runsWithOpenCalls, stopCalls } from './ledger/stop-calls.js';
export { spendOfRuns, type RunSpend } from './money/spend-of-runs.js';
export { FleetLimits, type PoolFacts } from './limits/fleet-limits.js';
export { takeShare, type Ask } from './limits/limit-buckets.store.js';
export type { Share } from './limits/share.js';
export type { CallPass, GateCall } from './gate/call-gate.js';
export type { Room } from './limits/limited-pool.js';
export { parseLimits, type ParsedLimits, type PoolLimits } from './limits/pool-limits.js';
export type { LookUp } from './look-up-response.js';
export { OpenAiGateway } from './openai-gateway.js';
export { isGivenBack, isLaneFault } from './outages/lane-fault.js';
export type { Latch } from './outages/latch.js';
export type { OutageFact, TellOutage } from './outages/latches.store.js';
export type { LaneRoom, ShutLane } from './outages/outage-gate.js';
export type { OutagePolicy } from './outages/outage-policy.js';
export { removeLatches } from './outages/remove-latches.js';

/**
 * `processor.calls`, `processor.call_stops`, `processor.run_fences`, `processor.call_leftovers`, `processor.limit_buckets`,
 * `processor.latches`, `processor.budgets`; run with the processor's own migrations, into schema `processor`.
 */
export const gatewayMigrations = [
  CreateCalls1764000100000,
  CommentCalls1795493801500,
  AddCallSender1795494000000,
  CreateCallStops1795494100000,
  IndexCallResponses1795646000000,
  CreateLimitBuckets1795700100000,
  AddAnchors1795700300000,
  CreateRunFences1795700310000,
  CreateCallLeftovers1795700320000,
  AddMoney1795700400000,
  CreateLatches1795700200000,
  AddCallAccount1795700500000,
];
export type { OpenAiHealth } from './openai/openai-health.js';
export type { WebhookHeaders, WebhookReading } from './openai/read-webhook.js';
/** For whoever measures what each part costs: everybody else goes through the gateway. */
export { OpenAiEndpoint } from './openai/openai-endpoint.js';
export { WireFetch } from './openai/wire-fetch.js';
