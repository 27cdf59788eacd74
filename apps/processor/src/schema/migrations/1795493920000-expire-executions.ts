import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Ended runs lose their detail first, and their row later. Each is found by an index that holds only those that wait for it. */
export class ExpireExecutions1795493920000 implements MigrationInterface {
  readonly name = 'ExpireExecutions1795493920000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE processor.executions ADD COLUMN expired_at timestamptz');
    await runner.query(`
      COMMENT ON COLUMN processor.executions.expired_at IS
        'From then on the row is a tombstone: it only keeps messages of the run from starting it again.'`);
    await runner.query(`
      CREATE INDEX executions_ended ON processor.executions (ended_at)
      WHERE ended_at IS NOT NULL AND expired_at IS NULL`);
    await runner.query(`
      CREATE INDEX executions_expired ON processor.executions (ended_at) WHERE expired_at IS NOT NULL`);
    await runner.query(`
      CREATE INDEX executions_result ON processor.executions (result_ref) WHERE result_ref IS NOT NULL`);
    await runner.query(`
      CREATE INDEX outbox_parked_at ON processor.outbox (parked_at) WHERE parked_at IS NOT NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX processor.outbox_parked_at');
    await runner.query('DROP INDEX processor.executions_result');
    await runner.query('DROP INDEX processor.executions_ended, processor.executions_expired');
    await runner.query('ALTER TABLE processor.executions DROP COLUMN expired_at');
  }
}
