import type { MigrationInterface, QueryRunner } from 'typeorm';
import { outboxTableSql } from '#libs/messaging';

/** The processor's own tables: what it has been asked to carry, what is finished of it, and what it has to tell. */
export class CreateExecutions1764000200000 implements MigrationInterface {
  readonly name = 'CreateExecutions1764000200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.executions (
        run_id            uuid PRIMARY KEY,
        tenant            text NOT NULL,
        model             text NOT NULL,
        seq               bigint GENERATED ALWAYS AS IDENTITY,
        priority          smallint NOT NULL,
        workflow          text NOT NULL,
        workflow_version  integer NOT NULL,
        request           json NOT NULL,
        traceparent       text,
        origin            json NOT NULL,
        status            text NOT NULL CHECK (status IN
                            ('ready', 'running', 'retrying', 'needs_review', 'completed', 'failed', 'cancelled')),
        dispatch          integer NOT NULL,
        hop               integer NOT NULL DEFAULT 0,
        attempt           integer NOT NULL DEFAULT 1,
        max_attempts      integer NOT NULL,
        tries             integer NOT NULL DEFAULT 0,
        first_failed_at   timestamptz,
        next_attempt_at   timestamptz,
        deadline_at       timestamptz,
        version           integer NOT NULL DEFAULT 0,
        owner             text,
        fence             bigint NOT NULL DEFAULT 0,
        lease_until       timestamptz,
        lost_leases       integer NOT NULL DEFAULT 0,
        progress          json,
        failure           json,
        result_ref        text,
        admitted_at       timestamptz NOT NULL DEFAULT now(),
        ready_since       timestamptz NOT NULL DEFAULT now(),
        wait_announced    boolean NOT NULL DEFAULT false,
        started_at        timestamptz,
        ended_at          timestamptz,
        CHECK ((status = 'running') = (owner IS NOT NULL AND lease_until IS NOT NULL)),
        CHECK (status <> 'retrying' OR next_attempt_at IS NOT NULL),
        CHECK (status NOT IN ('needs_review', 'failed') OR failure IS NOT NULL)
      ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)`);
    await runner.query(`
      COMMENT ON COLUMN processor.executions.fence IS
        'Grows whenever the run is taken from or given to an owner. Every write of an owner carries the fence of its claim.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.executions.dispatch IS
        'Counts the messages that may start work: tells the one that is due from those that are redelivered.'`);
    await runner.query(`
      CREATE INDEX executions_ready ON processor.executions (tenant, model, priority, seq) WHERE status = 'ready'`);
    await runner.query(`
      CREATE INDEX executions_unannounced ON processor.executions (ready_since) WHERE status = 'ready' AND NOT wait_announced`);
    await runner.query(`
      CREATE INDEX executions_leases ON processor.executions (lease_until) WHERE status = 'running'`);
    await runner.query(`
      CREATE INDEX executions_retrying ON processor.executions (next_attempt_at) WHERE status = 'retrying'`);
    await runner.query(`
      CREATE TABLE processor.lanes (
        tenant        text NOT NULL,
        model         text NOT NULL,
        weight        integer NOT NULL DEFAULT 1 CHECK (weight > 0),
        virtual_time  double precision NOT NULL DEFAULT 0,
        paused        boolean NOT NULL DEFAULT false,
        PRIMARY KEY (tenant, model)
      )`);
    await runner.query(`
      COMMENT ON COLUMN processor.lanes.virtual_time IS
        'Runs claimed from this lane divided by its weight: the lane that is furthest behind is served first.'`);
    await runner.query(`
      CREATE TABLE processor.check_points (
        tenant    text NOT NULL,
        run_id    uuid NOT NULL REFERENCES processor.executions ON DELETE CASCADE,
        step      integer NOT NULL,
        item      integer NOT NULL,
        value     bytea NOT NULL,
        saved_at  timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (run_id, step, item)
      )`);
    await runner.query(`
      CREATE TABLE processor.attempts (
        tenant          text NOT NULL,
        run_id          uuid NOT NULL REFERENCES processor.executions ON DELETE CASCADE,
        fence           bigint NOT NULL,
        attempt         integer NOT NULL,
        dispatch        integer NOT NULL,
        worker          text NOT NULL,
        started_at      timestamptz NOT NULL DEFAULT now(),
        ended_at        timestamptz,
        outcome         text,
        failure         json,
        PRIMARY KEY (run_id, fence)
      )`);
    await runner.query(`
      COMMENT ON TABLE processor.attempts IS
        'One row per claim: who worked on the run, from when to when, and how it ended. The history that support reads.'`);
    await runner.query(outboxTableSql('processor'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      `DROP TABLE processor.outbox, processor.leases, processor.attempts, processor.check_points, processor.lanes,
         processor.executions`,
    );
  }
}
