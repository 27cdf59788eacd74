/**
 * The numbered points of the flow at which a crash is most awkward, in the order of the data path. For fault specs only: a
 * process that is told so stops itself at one of them, and says so, so that a signal lands exactly there.
 */
export const pausePoints = {
  'accept.before-commit': 'api: run and request are written, not committed',
  'accept.after-commit': 'api: the run is durable, its caller has no answer yet',
  'relay.before-send': 'relay: rows are read, Kafka has not got them',
  'relay.after-ack': 'relay: Kafka has the rows, the outbox still has them too',
  'admit.before-commit': 'processor: rows for new work are written, not committed',
  'admit.after-commit': 'processor: work is admitted, its offset is not committed',
  'offsets.before-commit':
    'consumer: records are settled, the commit of their offsets is about to leave',
  'claim.before-commit': 'processor: runs are claimed, not committed',
  'claim.after-commit': 'processor: runs are claimed, no work on them has begun',
  'call.opening': 'gateway: the prompt is ready, the ledger does not say so yet',
  'call.sending': 'gateway: "sending" is committed, no byte has left',
  'call.replied': 'gateway: OpenAI has answered, the response id is not stored',
  'call.accepted': 'gateway: the response id is stored, the answer is awaited',
  'call.done': 'gateway: the answer is in the ledger, not yet a check-point',
  'check-point.saved': 'processor: a model call is check-pointed, its step goes on',
  'outcome.before-commit': 'processor: result and event are written, not committed',
  'outcome.after-commit': 'processor: the outcome is committed, the run is still in hand',
  'drain.releasing': 'processor: told to end, about to give its runs back',
  'projection.before-commit': 'api: an event has arrived, the view does not have it yet',
  'projection.after-commit': 'api: the view has the event, its offset is not committed',
  // Of webhook steps; between the calls and the outcome, but the numbers above are in use.
  'effect.sending': 'processor: "sending" is committed, the connection is open, no byte has left',
  'effect.replied': 'processor: the receiver has answered, the effect ledger does not say so',
  'effect.done': 'processor: the effect is in the ledger, not yet a check-point',
} as const satisfies Readonly<Record<string, string>>;

export type PausePoint = keyof typeof pausePoints;

export const pausePointNames = Object.keys(pausePoints) as PausePoint[];

/** 1-based, as in docs/failure-modes.md. */
export function numberOf(point: PausePoint): number {
  return pausePointNames.indexOf(point) + 1;
}
