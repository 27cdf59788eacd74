import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What people have decided about runs, and what a run needs to know of it. */
export class CreateDecisions1795494200000 implements MigrationInterface {
  readonly name = 'CreateDecisions1795494200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.executions
        ADD COLUMN cancel_requested boolean NOT NULL DEFAULT false,
        ADD COLUMN redriven_fence bigint`);
    await runner.query(`
      COMMENT ON COLUMN processor.executions.cancel_requested IS
        'A cancel is stored and not answered yet: whoever holds the run next closes its calls and ends it.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.executions.redriven_fence IS
        'The fence at the last redrive: a call that ended under it, or before, is no reason not to call again.'`);
    await runner.query(`
      CREATE TABLE processor.decisions (
        run_id       uuid NOT NULL,
        decision_id  uuid NOT NULL,
        tenant       text NOT NULL,
        decision     text NOT NULL CHECK (decision IN ('cancel', 'redrive', 'discard', 'complete')),
        reason       text,
        state        text NOT NULL CHECK (state IN ('pending', 'applied', 'refused')),
        answer       json,
        received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        answered_at  timestamptz,
        PRIMARY KEY (run_id, decision_id),
        CHECK ((state = 'pending') = (answer IS NULL AND answered_at IS NULL))
      )`);
    await runner.query(`
      COMMENT ON TABLE processor.decisions IS
        'Each decision once, with its answer as it was published. No reference to executions: a decision may come before its run.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.decisions`);
    await runner.query(
      `ALTER TABLE processor.executions DROP COLUMN cancel_requested, DROP COLUMN redriven_fence`,
    );
  }
}
