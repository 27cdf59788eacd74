/** Tables of schema `api`: what a row holds, how it came to be (migrations), and how a run's row is shown. */
export { RunEntity } from './run.entity.js';
export { RunEventEntity } from './run-event.entity.js';
export { DecisionEntity } from './decision.entity.js';
export { RefusedCommandEntity } from './refused-command.entity.js';
export { ParkedEventEntity, type ParkReason } from './parked-event.entity.js';
export { RUN_COLUMNS, runETagOf, runViewOf, type RunRow } from './run-view.js';
export {
  decisionMessage,
  requestMessage,
  type CommandedDecision,
  type RequestedRun,
} from './run-messages.js';
export { apiMigrations } from './migrations/index.js';
export { schemasOf } from './schemas.js';
export { RUN_EVENTS_CHANNEL } from './channels.js';
export * from './retention.store.js';
