import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A run may have told its end while nobody knew what some of its calls had cost: who learns it tells it. */
export class CreateUnsettledRuns1795730200000 implements MigrationInterface {
  readonly name = 'CreateUnsettledRuns1795730200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.unsettled_runs (
        run_id       uuid PRIMARY KEY,
        told         text NOT NULL,
        settlements  integer NOT NULL DEFAULT 0,
        looks        integer NOT NULL DEFAULT 0,
        due_at       timestamptz
      )`);
    await runner.query(`
      CREATE INDEX unsettled_runs_due ON processor.unsettled_runs (due_at) WHERE due_at IS NOT NULL`);
    await runner.query(`
      COMMENT ON TABLE processor.unsettled_runs IS
        'Runs that stopped or ended while some of their spend was uncertain: when somebody compares it with the ledger next.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.unsettled_runs.told IS 'The spend as it was told last, as JSON.';
      COMMENT ON COLUMN processor.unsettled_runs.settlements IS 'Told since the run stopped or ended.';
      COMMENT ON COLUMN processor.unsettled_runs.due_at IS 'null: not by itself any more.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.unsettled_runs`);
  }
}
