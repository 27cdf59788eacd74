import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What became of a call whose reply was lost can be read from the conversation that it was sent on. */
export class AddAnchors1795700300000 implements MigrationInterface {
  readonly name = 'AddAnchors1795700300000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.calls
        ADD COLUMN anchor text,
        ADD COLUMN fenced_attempt integer NOT NULL DEFAULT 0,
        ADD COLUMN fenced_at timestamptz,
        ADD COLUMN usage_estimated boolean NOT NULL DEFAULT false`);
    await runner.query(`
      COMMENT ON COLUMN processor.calls.anchor IS
        'The conversation at OpenAI that it was sent on last; null: without one, or it is removed.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.calls.fenced_attempt IS
        'The newest sending of which it is sure that it has left nothing, and never will: its anchor was deleted. 0: none.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.calls.usage_estimated IS
        'Its usage is an estimate: its output was found on its anchor, its response was not seen. What it cost is not known.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.calls DROP COLUMN anchor, DROP COLUMN fenced_attempt, DROP COLUMN fenced_at, DROP COLUMN usage_estimated`);
  }
}
