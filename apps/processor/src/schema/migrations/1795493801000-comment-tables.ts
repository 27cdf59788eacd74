import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What each table of the processor is for, where whoever looks into the database sees it; docs/database.md is drawn from it. */
export class CommentTables1795493801000 implements MigrationInterface {
  readonly name = 'CommentTables1795493801000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      COMMENT ON TABLE processor.executions IS
        'One row per run, as the processor owns it: state, owner, lease, counts, failure. Nothing but this row says what becomes of the run.';
      COMMENT ON COLUMN processor.executions.model IS 'With tenant: the lane that it waits in.';
      COMMENT ON COLUMN processor.executions.seq IS 'Order of arrival, inside a lane and a priority.';
      COMMENT ON COLUMN processor.executions.request IS 'RunRequested as it came: references, no payload.';
      COMMENT ON COLUMN processor.executions.origin IS
        'Where the run''s first message lies; every retry and dead letter carries it.';
      COMMENT ON COLUMN processor.executions.status IS 'ready: can be claimed; the outside sees it as queued.';
      COMMENT ON COLUMN processor.executions.hop IS 'Retry tiers that this dispatch has passed through.';
      COMMENT ON COLUMN processor.executions.attempt IS
        'From 1, of max_attempts; a throttled one is repeated under its number.';
      COMMENT ON COLUMN processor.executions.tries IS 'Failures so far, those that used no attempt included.';
      COMMENT ON COLUMN processor.executions.next_attempt_at IS
        'Not to be claimed before, by the clock of the database.';
      COMMENT ON COLUMN processor.executions.version IS 'Of the newest event that the run has told of.';
      COMMENT ON COLUMN processor.executions.lost_leases IS
        'Leases that ran out in a row while it was carried out, without a new check-point between them.';
      COMMENT ON COLUMN processor.executions.wait_announced IS 'RunQueued has been told for this wait.';
      COMMENT ON COLUMN processor.executions.result_ref IS 'The result, in the content store.';

      COMMENT ON TABLE processor.lanes IS
        'One row per tenant and model: the runs that wait there take turns with other lanes by weight.';
      COMMENT ON COLUMN processor.lanes.paused IS 'Nothing is claimed from it.';

      COMMENT ON TABLE processor.check_points IS
        'What is finished of a run, per step and item; it is not done, and not paid, again.';
      COMMENT ON COLUMN processor.check_points.item IS '0 outside map steps.';
      COMMENT ON COLUMN processor.check_points.value IS
        'JSON in UTF-8, as bytea: it comes from a model and may contain U+0000.';

      COMMENT ON COLUMN processor.attempts.fence IS 'Of the claim.';
      COMMENT ON COLUMN processor.attempts.worker IS 'The process that held it.';

      COMMENT ON TABLE processor.leases IS 'Who leads the relay of this schema''s outbox, and until when.';
      COMMENT ON COLUMN processor.leases.epoch IS 'Grows with each new leader; every write of a leader carries its own.'`);
  }

  /** Comments go with their tables. */
  async down(): Promise<void> {}
}
