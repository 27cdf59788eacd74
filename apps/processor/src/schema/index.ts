/** What the folders of the processor share: the run's row, how it changes, what is said about it. */
export * from './decisions.store.js';
export { runsWithOpenEffects, sendEffectsAgain } from './effects.store.js';
export * from './execution.js';
export * from './executions.store.js';
export { ownFailure } from './own-failure.js';
export { asRepeat, repeatNewestEvents } from './repeat-events.store.js';
export * from './run-messages.js';
export { schemasOf } from './schemas.js';
export { aboutRun } from './about-run.js';
export * from './retention.store.js';
export { isUncertain, lookAtSpend, textOf } from './unsettled-runs.store.js';
