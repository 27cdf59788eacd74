import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Something may become known of what a run has spent after it has told its end: the newest word counts, in whatever order they come. */
export class SettleSpend1795730100000 implements MigrationInterface {
  name = 'SettleSpend1795730100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE api.run_spend
        ADD COLUMN version integer NOT NULL DEFAULT 0,
        ADD COLUMN settlement integer NOT NULL DEFAULT 0`);
    await runner.query(`
      COMMENT ON COLUMN api.run_spend.version IS
        'Of the event that told it, or that was the run''s newest when it was settled.';
      COMMENT ON COLUMN api.run_spend.settlement IS
        'Which settlement after that version told it, from 1; 0: the event itself.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE api.run_spend DROP COLUMN version, DROP COLUMN settlement');
  }
}
