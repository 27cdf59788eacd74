import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What a run has told last, so that it can be told again. Not the message itself: a second copy of every event would be written
 * for the few that are ever asked for, and all but these columns is in the row anyway.
 */
export class RememberNewestEvent1795643100000 implements MigrationInterface {
  readonly name = 'RememberNewestEvent1795643100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.executions
        ADD COLUMN newest_event text,
        ADD COLUMN newest_event_id uuid,
        ADD COLUMN newest_event_at timestamptz,
        ADD COLUMN told_waiting_for text,
        ADD COLUMN told_waiting_until timestamptz`);
    await runner.query(`
      COMMENT ON COLUMN processor.executions.newest_event IS
        'The event that bears the row''s version; null: none was told yet.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.executions.newest_event_id IS
        'Its ce_id; of the answer to a decision the decision''s id, under which the answer is stored.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.executions.told_waiting_for IS
        'What the newest event says the run waits for, and until when.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.executions
        DROP COLUMN newest_event, DROP COLUMN newest_event_id, DROP COLUMN newest_event_at,
        DROP COLUMN told_waiting_for, DROP COLUMN told_waiting_until`);
  }
}
