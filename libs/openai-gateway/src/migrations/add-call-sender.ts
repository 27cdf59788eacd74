import type { MigrationInterface, QueryRunner } from 'typeorm';

/** New calls are made and marked as sending in one statement: the row says which statement made it. */
export class AddCallSender1795494000000 implements MigrationInterface {
  readonly name = 'AddCallSender1795494000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE processor.calls ADD COLUMN sender uuid`);
    await runner.query(`
      COMMENT ON COLUMN processor.calls.sender IS
        'Of the statement that made the row ready to leave: tells a repeat of it, after a lost answer, from another sending.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE processor.calls DROP COLUMN sender`);
  }
}
