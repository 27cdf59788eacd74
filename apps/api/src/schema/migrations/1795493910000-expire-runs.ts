import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Ended runs lose their detail first, and their row and key later; each is found by an index that holds only those that wait
 * for it. The indexes by reference tell which runs need a content.
 */
export class ExpireRuns1795493910000 implements MigrationInterface {
  name = 'ExpireRuns1795493910000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE api.runs ADD COLUMN expired_at timestamptz');
    await runner.query(`
      COMMENT ON COLUMN api.runs.expired_at IS
        'Since then history, result, reference and labels are gone; the row keeps its key from making a second run.'`);
    await runner.query(`
      CREATE INDEX runs_ended ON api.runs (ended_at) WHERE ended_at IS NOT NULL AND expired_at IS NULL`);
    await runner.query(
      'CREATE INDEX runs_expired ON api.runs (ended_at) WHERE expired_at IS NOT NULL',
    );
    await runner.query(
      'CREATE INDEX runs_by_input ON api.runs (input_ref) WHERE input_ref IS NOT NULL',
    );
    await runner.query(
      'CREATE INDEX runs_by_result ON api.runs (result_ref) WHERE result_ref IS NOT NULL',
    );
    await runner.query(`
      CREATE INDEX runs_by_document ON api.runs USING gin (documents jsonb_path_ops)
      WHERE documents <> '[]'::jsonb`);
    await runner.query('CREATE INDEX parked_events_by_age ON api.parked_events (parked_at)');
    await runner.query('CREATE INDEX refused_commands_by_age ON api.refused_commands (refused_at)');
    await runner.query(`
      CREATE INDEX outbox_parked_at ON api.outbox (parked_at) WHERE parked_at IS NOT NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX api.outbox_parked_at, api.refused_commands_by_age, api.parked_events_by_age, api.runs_by_document, api.runs_by_result, api.runs_by_input`);
    await runner.query('DROP INDEX api.runs_ended, api.runs_expired');
    await runner.query('ALTER TABLE api.runs DROP COLUMN expired_at');
  }
}
