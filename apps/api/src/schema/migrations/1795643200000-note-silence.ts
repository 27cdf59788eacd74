import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Since when a run says nothing, and how often the processor was asked about it. None of these columns is in an index that most
 * changes of a view would have to keep up: unfinished runs are walked in the order of their ids, and those that were asked about
 * are few.
 */
export class NoteSilence1795643200000 implements MigrationInterface {
  name = 'NoteSilence1795643200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE api.runs
        ADD COLUMN moved_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN asks integer NOT NULL DEFAULT 0,
        ADD COLUMN asked_at timestamptz,
        ADD COLUMN confirmed_at timestamptz`);
    await runner.query(`
      COMMENT ON COLUMN api.runs.moved_at IS 'When an event last changed the view.';
      COMMENT ON COLUMN api.runs.asks IS 'How often its request was sent again since then.';
      COMMENT ON COLUMN api.runs.asked_at IS 'When it last was.';
      COMMENT ON COLUMN api.runs.confirmed_at IS
        'When the processor last said, asked, that nothing has changed since.'`);
    await runner.query(
      'CREATE INDEX runs_unfinished ON api.runs (tenant, id) WHERE ended_at IS NULL',
    );
    await runner.query('CREATE INDEX runs_asked ON api.runs (asked_at) WHERE asks > 0');

    await runner.query(`
      ALTER TABLE api.decisions
        ADD COLUMN result_ref text,
        ADD COLUMN asks integer NOT NULL DEFAULT 0,
        ADD COLUMN asked_at timestamptz`);
    await runner.query(`
      COMMENT ON COLUMN api.decisions.result_ref IS
        'Of a completion by hand: the result, in the content store.';
      COMMENT ON COLUMN api.decisions.asks IS 'How often it was sent again because no answer came.'`);
    await runner.query(`
      CREATE INDEX decisions_pending ON api.decisions (tenant, run_id, id) WHERE state = 'pending'`);
    await runner.query(`
      CREATE INDEX decisions_by_result ON api.decisions (result_ref)
      WHERE state = 'pending' AND result_ref IS NOT NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX api.decisions_by_result, api.decisions_pending');
    await runner.query(
      'ALTER TABLE api.decisions DROP COLUMN result_ref, DROP COLUMN asks, DROP COLUMN asked_at',
    );
    await runner.query('DROP INDEX api.runs_asked, api.runs_unfinished');
    await runner.query(`
      ALTER TABLE api.runs
        DROP COLUMN moved_at, DROP COLUMN asks, DROP COLUMN asked_at, DROP COLUMN confirmed_at`);
  }
}
