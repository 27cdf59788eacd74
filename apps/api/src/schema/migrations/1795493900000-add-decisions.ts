import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What people decide about runs, its marks on the view, and commands that were refused. */
export class AddDecisions1795493900000 implements MigrationInterface {
  name = 'AddDecisions1795493900000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE api.runs
        ADD COLUMN cancelling         boolean NOT NULL DEFAULT false,
        ADD COLUMN redrive_pending    boolean NOT NULL DEFAULT false,
        ADD COLUMN discard_pending    boolean NOT NULL DEFAULT false,
        ADD COLUMN completion_pending boolean NOT NULL DEFAULT false`);
    await runner.query(`
      CREATE TABLE api.decisions (
        tenant         text        NOT NULL,
        run_id         uuid        NOT NULL,
        id             uuid        NOT NULL,
        decision       text        NOT NULL,
        state          text        NOT NULL DEFAULT 'pending',
        reason         text,
        command_id     text,
        refusal_code   text,
        refusal_reason text,
        decided_at     timestamptz NOT NULL,
        answered_at    timestamptz,
        PRIMARY KEY (tenant, run_id, id)
      )`);
    await runner.query(`
      CREATE TABLE api.refused_commands (
        id         text        NOT NULL PRIMARY KEY,
        code       text        NOT NULL,
        refused_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(`
      COMMENT ON COLUMN api.runs.cancelling IS 'A cancel was asked for and is not answered yet; likewise the three after it.';

      COMMENT ON TABLE api.decisions IS 'What was decided about runs, and what became of it.';
      COMMENT ON COLUMN api.decisions.state IS 'pending until the processor''s event says applied or refused.';
      COMMENT ON COLUMN api.decisions.reason IS 'Why somebody decided so.';
      COMMENT ON COLUMN api.decisions.command_id IS
        'The record that brought it, where it came over Kafka: delivered again, it is the same decision.';

      COMMENT ON TABLE api.refused_commands IS
        'Commands that were refused: delivered again, they are not taken after all.';
      COMMENT ON COLUMN api.refused_commands.id IS
        'Made of the record''s place and time in the log; also ce_id of the refusal.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE api.decisions, api.refused_commands');
    await runner.query(`
      ALTER TABLE api.runs
        DROP COLUMN cancelling, DROP COLUMN redrive_pending, DROP COLUMN discard_pending,
        DROP COLUMN completion_pending`);
  }
}
