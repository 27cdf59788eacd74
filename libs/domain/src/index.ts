/** What a run is and what may happen to it: pure decisions, no clock, no randomness, no I/O. */
export * from './run/run-id.js';
export * from './run/run-status.js';
export * from './run/run-transitions.js';
export * from './run/describe-run.js';
export * from './run/decide-next.js';
export * from './call/service-tier.js';
export * from './decision/decision.js';
export * from './decision/decide-decision.js';
export * from './failure/failure-class.js';
export * from './failure/run-failure.js';
export { wordsFor } from './failure/words-for-people.js';
export * from './retry/backoff.js';
export * from './retry/retry-policy.js';
export * from './retry/retry-tiers.js';
export * from './money/nano-usd.js';
