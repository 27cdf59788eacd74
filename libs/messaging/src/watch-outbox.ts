import type { FieldLog } from '#libs/process';
import { outboxProblem } from './messaging-health.js';
import type { OutboxRelay } from './outbox/outbox-relay.js';
import { pause } from './pause.js';

const LOOK_EVERY_MS = 10_000;

/** Says in the log, for as long as it is so, that messages wait: also where no relay leads, and so none complains. */
export async function watchOutbox(
  relay: Pick<OutboxRelay, 'status' | 'oldestMs'>,
  log: FieldLog,
  signal: AbortSignal,
  everyMs = LOOK_EVERY_MS,
): Promise<void> {
  while (!signal.aborted) {
    await pause(everyMs, signal);
    if (signal.aborted) return;
    try {
      const problem = outboxProblem(relay.status(), await relay.oldestMs());
      if (problem !== null) log.warn({ problem }, 'the outbox does not drain');
    } catch (error) {
      log.warn({ error }, 'the age of the outbox could not be read; trying again');
    }
  }
}
