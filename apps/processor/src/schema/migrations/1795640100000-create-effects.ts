import type { MigrationInterface, QueryRunner } from 'typeorm';

/** One row per effect of a run outside; see ../../execute-runs/effect-ledger.store.ts for its life. */
export class CreateEffects1795640100000 implements MigrationInterface {
  readonly name = 'CreateEffects1795640100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.effects (
        effect_id           uuid PRIMARY KEY,
        tenant              text NOT NULL,
        run_id              uuid NOT NULL,
        step                integer NOT NULL,
        target              text NOT NULL,
        idempotent          boolean NOT NULL,
        state               text NOT NULL DEFAULT 'planned' CHECK (state IN
                              ('planned', 'sending', 'done', 'failed', 'unknown')),
        fence               bigint,
        attempt_count       integer NOT NULL DEFAULT 0,
        possible_duplicate  boolean NOT NULL DEFAULT false,
        body                bytea NOT NULL,
        host                text,
        http_status         integer,
        answer              bytea CHECK (length(answer) <= 2048),
        failure             json,
        planned_at          timestamptz NOT NULL DEFAULT now(),
        sending_at          timestamptz,
        ended_at            timestamptz,
        CHECK (state <> 'sending' OR (fence IS NOT NULL AND host IS NOT NULL AND sending_at IS NOT NULL)),
        CHECK (state <> 'done' OR http_status IS NOT NULL),
        CHECK (state NOT IN ('failed', 'unknown') OR failure IS NOT NULL)
      )`);
    await runner.query(`CREATE INDEX effects_run_id ON processor.effects (run_id)`);
    await runner.query(`
      COMMENT ON TABLE processor.effects IS
        'Every message to somebody outside, written before it is sent, with the very bytes: each sending says the same.';
      COMMENT ON COLUMN processor.effects.effect_id IS
        'Made from tenant, run and step. With "dlv_" before it the webhook-id of every sending.';
      COMMENT ON COLUMN processor.effects.fence IS 'Of the claim under which it was sent last.';
      COMMENT ON COLUMN processor.effects.attempt_count IS 'How often it was sent.';
      COMMENT ON COLUMN processor.effects.possible_duplicate IS
        'Sent again although an earlier sending may have been taken: its step is idempotent, or a person has redriven the run.';
      COMMENT ON COLUMN processor.effects.answer IS 'The first 2 KB of what the receiver answered last.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.effects`);
  }
}
