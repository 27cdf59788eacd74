/** What a leftover is about: a run that has ended, one that waits without an owner, or one that somebody has in hand again. */
import type { OpenCall } from '#libs/openai-gateway';
import { statement, type Database } from '#libs/postgres';

export type RunStanding = 'ended' | 'waits' | 'in_hand';

export class WaitingCallsStore {
  constructor(private readonly database: Database) {}

  /** A run that is gone has ended. */
  async standingOf(runId: string): Promise<RunStanding> {
    const { rows } = await this.database.query<{ standing: RunStanding }>(STANDING, [runId]);
    return rows[0]?.standing ?? 'ended';
  }

  /**
   * Calls of the run that OpenAI has accepted, if the run waits at this moment: then they are all of the owner before. Whoever takes
   * the run up meanwhile closes the same calls; what he sends is not among them.
   */
  async acceptedOf(runId: string): Promise<OpenCall[]> {
    return (await this.database.query<OpenCall>(ACCEPTED, [runId])).rows;
  }
}

const waits = `(e.status = 'needs_review' OR (e.status = 'ready' AND e.parked))`;

const STANDING = statement(
  'processor.leftovers.standing',
  `SELECT CASE WHEN e.status IN ('completed', 'failed', 'cancelled') THEN 'ended' WHEN ${waits} THEN 'waits' ELSE 'in_hand' END
     AS standing
   FROM processor.executions e WHERE e.run_id = $1`,
);

const ACCEPTED = statement(
  'processor.leftovers.accepted',
  `SELECT c.call_id AS "callId", c.model, c.state, c.response_id AS "responseId", c.account, c.attempt_count AS attempt, c.anchor
   FROM processor.calls c JOIN processor.executions e USING (run_id)
   WHERE c.run_id = $1 AND c.state = 'accepted' AND ${waits} ORDER BY c.step, c.item, c.try`,
);
