import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What calls may cost and have cost, beside them; and what budgets have left, see ../money/reserve-budgets.store.ts. */
export class AddMoney1795700400000 implements MigrationInterface {
  readonly name = 'AddMoney1795700400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.calls
        ADD COLUMN reserved      bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
        ADD COLUMN lost_sendings integer NOT NULL DEFAULT 0 CHECK (lost_sendings >= 0),
        ADD COLUMN cost          bigint CHECK (cost >= 0),
        ADD COLUMN budgets       text[]`);
    await runner.query(`
      COMMENT ON COLUMN processor.calls.reserved IS
        'The most that one sending of it may cost, in nano-dollars; 0 while nothing may have left.';
      COMMENT ON COLUMN processor.calls.lost_sendings IS
        'Earlier sendings of which nobody knows what they cost: each counts as reserved.';
      COMMENT ON COLUMN processor.calls.cost IS
        'What the newest sending cost, in nano-dollars; null: not known (yet), it counts as reserved.';
      COMMENT ON COLUMN processor.calls.budgets IS 'Keys of processor.budgets that it is counted in; null: none.'`);
    await runner.query(`
      CREATE TABLE processor.budgets (
        key    text COLLATE "C" PRIMARY KEY,
        day    date,
        spent  bigint NOT NULL DEFAULT 0 CHECK (spent >= 0)
      ) WITH (fillfactor = 50)`);
    await runner.query('CREATE INDEX budgets_day ON processor.budgets (day) WHERE day IS NOT NULL');
    await runner.query(`
      COMMENT ON TABLE processor.budgets IS
        'What is spent of each budget, in nano-dollars, with all that is reserved or uncertain: one row per run with a budget, and per day for tenants and workflows that have one.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.budgets.day IS 'UTC; null for a run.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.budgets`);
    await runner.query(`
      ALTER TABLE processor.calls DROP COLUMN reserved, DROP COLUMN lost_sendings, DROP COLUMN cost, DROP COLUMN budgets`);
  }
}
