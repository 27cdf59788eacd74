import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whoever follows or cancels a response has to ask the account that it was made with. */
export class AddCallAccount1795700500000 implements MigrationInterface {
  readonly name = 'AddCallAccount1795700500000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.calls ADD COLUMN account text NOT NULL DEFAULT 'default'`);
    await runner.query(`
      COMMENT ON COLUMN processor.calls.account IS
        'Name of the account that it is, or was last, sent with; only before it is accepted does it change.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE processor.calls DROP COLUMN account`);
  }
}
