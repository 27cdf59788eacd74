import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Runs whose next call cannot be sent for now: they are ready, and wait with their lane. */
export class ParkRuns1795700210000 implements MigrationInterface {
  readonly name = 'ParkRuns1795700210000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.executions
        ADD COLUMN parked boolean NOT NULL DEFAULT false,
        ADD COLUMN told_waiting_because text`);
    await runner.query(`
      COMMENT ON COLUMN processor.executions.parked IS
        'Given back because its next call could not be sent: no call of it is open, so nobody need look at it while its lane is shut.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.executions.told_waiting_because IS 'The same, in words for people.'`);
    await runner.query(`
      CREATE INDEX executions_begun ON processor.executions (priority, seq)
        WHERE status = 'ready' AND fence > 0 AND NOT parked`);
    await runner.query(`
      CREATE INDEX executions_told_queued ON processor.executions (model)
        WHERE status = 'ready' AND wait_announced AND told_waiting_for IS NULL`);
    await runner.query(`
      CREATE INDEX executions_ready_deadline ON processor.executions (deadline_at)
        WHERE status = 'ready' AND deadline_at IS NOT NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      `DROP INDEX processor.executions_begun, processor.executions_told_queued,
        processor.executions_ready_deadline`,
    );
    await runner.query(`
      ALTER TABLE processor.executions DROP COLUMN parked, DROP COLUMN told_waiting_because`);
  }
}
