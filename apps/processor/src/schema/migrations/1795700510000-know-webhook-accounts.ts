import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whose webhook it was: its response is fetched with that account. */
export class KnowWebhookAccounts1795700510000 implements MigrationInterface {
  readonly name = 'KnowWebhookAccounts1795700510000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.webhooks ADD COLUMN account text NOT NULL DEFAULT 'default'`);
    await runner.query(`
      COMMENT ON COLUMN processor.webhooks.account IS 'Whose secret signed it, as the settings name it.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE processor.webhooks DROP COLUMN account`);
  }
}
