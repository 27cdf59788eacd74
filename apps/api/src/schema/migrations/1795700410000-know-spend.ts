import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What runs may cost, and have cost, by day and model. */
export class KnowSpend1795700410000 implements MigrationInterface {
  name = 'KnowSpend1795700410000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE api.runs ADD COLUMN cost json, ADD COLUMN max_cost_usd text');
    await runner.query('ALTER TABLE api.decisions ADD COLUMN max_cost_usd text');
    await runner.query(`
      COMMENT ON COLUMN api.runs.cost IS 'What its calls have cost, as its newest end or stop told it.';
      COMMENT ON COLUMN api.runs.max_cost_usd IS
        'The run''s budget in dollars; a redrive may have brought another one.';
      COMMENT ON COLUMN api.decisions.max_cost_usd IS 'Of a redrive: the budget that it brings along.'`);
    await runner.query(`
      CREATE TABLE api.run_spend (
        tenant               text NOT NULL,
        run_id               uuid NOT NULL,
        day                  date NOT NULL,
        model                text NOT NULL,
        workflow             text NOT NULL,
        calls                integer NOT NULL,
        input_tokens         bigint NOT NULL,
        cached_input_tokens  bigint NOT NULL,
        output_tokens        bigint NOT NULL,
        booked               bigint NOT NULL,
        uncertain            bigint NOT NULL,
        retries              bigint NOT NULL,
        PRIMARY KEY (tenant, run_id, day, model)
      )`);
    await runner.query('CREATE INDEX run_spend_by_day ON api.run_spend (tenant, day)');
    await runner.query(`
      COMMENT ON TABLE api.run_spend IS
        'What each run has spent on a model on a day, as its newest end or stop told it: GET /v1/usage adds it up. Money in nano-dollars.';
      COMMENT ON COLUMN api.run_spend.day IS 'UTC: when the calls were sent.';
      COMMENT ON COLUMN api.run_spend.uncertain IS 'Of calls that may have been paid: at the most.';
      COMMENT ON COLUMN api.run_spend.retries IS
        'Part of booked and uncertain: of calls that came after one that failed, and of second sendings.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE api.run_spend');
    await runner.query('ALTER TABLE api.decisions DROP COLUMN max_cost_usd');
    await runner.query('ALTER TABLE api.runs DROP COLUMN cost, DROP COLUMN max_cost_usd');
  }
}
