import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Runs that send nothing more, whatever call they may still plan. */
export class CreateCallStops1795494100000 implements MigrationInterface {
  readonly name = 'CreateCallStops1795494100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.call_stops (
        run_id      uuid PRIMARY KEY,
        stopped_at  timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(`
      COMMENT ON TABLE processor.call_stops IS
        'Runs that are to be cancelled: no call of theirs is sent from the moment this row is committed. Outlives the run''s end.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.call_stops`);
  }
}
