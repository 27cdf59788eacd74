import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Lanes to OpenAI that no call may take until they are released. */
export class CreateLatches1795700200000 implements MigrationInterface {
  readonly name = 'CreateLatches1795700200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.latches (
        latch_id     uuid PRIMARY KEY,
        account      text NOT NULL,
        model        text,
        class        text NOT NULL CHECK (class IN ('billing', 'authorization', 'configuration')),
        code         text NOT NULL,
        http_status  integer,
        request_id   text,
        message      text NOT NULL,
        latched_at   timestamptz NOT NULL DEFAULT now(),
        probes       integer NOT NULL DEFAULT 0,
        probe_at     timestamptz NOT NULL,
        released_at  timestamptz,
        released_by  text CHECK (released_by IN ('operator', 'probe')),
        CHECK ((released_at IS NULL) = (released_by IS NULL))
      )`);
    await runner.query(`
      CREATE UNIQUE INDEX latches_held ON processor.latches (account, coalesce(model, '')) WHERE released_at IS NULL`);
    await runner.query(`
      CREATE INDEX latches_released ON processor.latches (released_at) WHERE released_at IS NOT NULL`);
    await runner.query(`
      COMMENT ON TABLE processor.latches IS
        'Lanes to OpenAI (an account, or a model of it) that no new call may take: what was found, since when, and who released it. No tenant: an account is everybody''s.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.latches.probe_at IS
        'When the next call may go through, to see whether the lane is mended. Whoever moves it on has that call.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.latches`);
  }
}
