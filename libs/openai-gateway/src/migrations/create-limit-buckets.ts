import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the fleet may still ask of each model pool; see ../limits/limit-buckets.ts for the rules. */
export class CreateLimitBuckets1795700100000 implements MigrationInterface {
  readonly name = 'CreateLimitBuckets1795700100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.limit_buckets (
        account         text NOT NULL,
        pool            text NOT NULL,
        tier            text NOT NULL,
        requests_left   double precision,
        tokens_left     double precision,
        refilled_at     timestamptz NOT NULL DEFAULT now(),
        requests_told   double precision,
        tokens_told     double precision,
        held_until      timestamptz,
        eased_at        timestamptz,
        rate_factor     double precision NOT NULL DEFAULT 1 CHECK (rate_factor > 0 AND rate_factor <= 1),
        slot_ceiling    double precision,
        holders         jsonb NOT NULL DEFAULT '{}',
        PRIMARY KEY (account, pool, tier)
      ) WITH (fillfactor = 50)`);
    await runner.query(`
      COMMENT ON TABLE processor.limit_buckets IS
        'What the fleet may still ask of a model pool: a bucket of requests and one of tokens, refilled continuously, and who holds slots.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.limit_buckets.requests_left IS
        'At refilled_at, what processes have taken as their share not included; null: no limit is known.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.limit_buckets.requests_told IS 'The limit that OpenAI''s headers named last.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.limit_buckets.held_until IS 'OpenAI has asked not to be called before (429).'`);
    await runner.query(`
      COMMENT ON COLUMN processor.limit_buckets.rate_factor IS
        'Of the limit, at eased_at: halved when OpenAI is overloaded, and growing by half in 15 minutes at most.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.limit_buckets.slot_ceiling IS 'Calls on their way at once, at eased_at; likewise. Null: as set.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.limit_buckets.holders IS
        'By process: slots that it holds, slots that it wants, and until when (epoch seconds); one that is silent has none after that.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.limit_buckets`);
  }
}
