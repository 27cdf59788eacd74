import type { MigrationInterface, QueryRunner } from 'typeorm';

/** One row per model call; see ../ledger/call-ledger.store.ts for its life. */
export class CreateCalls1764000100000 implements MigrationInterface {
  readonly name = 'CreateCalls1764000100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.calls (
        call_id            uuid PRIMARY KEY,
        tenant             text NOT NULL,
        run_id             uuid NOT NULL,
        step               integer NOT NULL,
        item               integer NOT NULL,
        try                integer NOT NULL,
        state              text NOT NULL DEFAULT 'planned' CHECK (state IN
                             ('planned', 'sending', 'accepted', 'unknown', 'done', 'failed', 'cancelled')),
        fence              bigint NOT NULL,
        cancel_requested   boolean NOT NULL DEFAULT false,
        mode               text NOT NULL CHECK (mode IN ('background', 'foreground')),
        model              text NOT NULL,
        attempt_count      integer NOT NULL DEFAULT 0,
        possible_duplicate boolean NOT NULL DEFAULT false,
        response_id        text,
        request_id         text,
        served_model       text,
        output             bytea,
        usage              jsonb,
        failure            jsonb,
        planned_at         timestamptz NOT NULL DEFAULT now(),
        sending_at         timestamptz,
        accepted_at        timestamptz,
        ended_at           timestamptz,
        CHECK (state <> 'accepted' OR response_id IS NOT NULL),
        CHECK (state <> 'done' OR (output IS NOT NULL AND usage IS NOT NULL)),
        CHECK (state NOT IN ('failed', 'cancelled', 'unknown') OR failure IS NOT NULL)
      ) WITH (fillfactor = 80)`);
    await runner.query(`CREATE INDEX calls_run_id ON processor.calls (run_id)`);
    await runner.query(`
      COMMENT ON TABLE processor.calls IS
        'Every model call, written before it is sent. Holds model output (bytea: it may contain U+0000), never a prompt.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.calls.possible_duplicate IS
        'Sent again although the outcome of an earlier sending was not known (whenUnknown: resend).'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.calls`);
  }
}
