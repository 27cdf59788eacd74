import type { MigrationInterface, QueryRunner } from 'typeorm';
import { outboxTableSql } from '#libs/messaging';

/** Runs, their history, events set aside, and the api's outbox. `tenant` stands first in every key. */
export class CreateRuns1764000000000 implements MigrationInterface {
  name = 'CreateRuns1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE api.runs (
        tenant           text        NOT NULL,
        id               uuid        NOT NULL,
        idempotency_key  text,
        body_hash        bytea,
        workflow         text        NOT NULL,
        workflow_version integer     NOT NULL,
        input_ref        text,
        documents        jsonb       NOT NULL,
        priority         text        NOT NULL,
        deadline_at      timestamptz,
        reference        text,
        labels           jsonb       NOT NULL,
        status           text        NOT NULL,
        version          integer     NOT NULL DEFAULT 0,
        revision         integer     NOT NULL DEFAULT 0,
        attempt          integer     NOT NULL,
        max_attempts     integer     NOT NULL,
        waiting          json,
        next_attempt_at  timestamptz,
        progress         json,
        usage            json,
        failure          json,
        result           json,
        result_ref       text,
        created_at       timestamptz NOT NULL,
        started_at       timestamptz,
        ended_at         timestamptz,
        PRIMARY KEY (tenant, id)
      ) WITH (fillfactor = 80)`);
    await runner.query(
      'CREATE UNIQUE INDEX runs_idempotency_key ON api.runs (tenant, idempotency_key)',
    );
    await runner.query('CREATE INDEX runs_by_status ON api.runs (tenant, status, id)');
    await runner.query('CREATE INDEX runs_by_workflow ON api.runs (tenant, workflow, id)');
    await runner.query('CREATE INDEX runs_by_reference ON api.runs (tenant, reference, id)');

    await runner.query(`
      CREATE TABLE api.run_events (
        tenant      text        NOT NULL,
        run_id      uuid        NOT NULL,
        version     integer     NOT NULL,
        event_id    text        NOT NULL,
        type        text        NOT NULL,
        status      text        NOT NULL,
        occurred_at timestamptz NOT NULL,
        body        json        NOT NULL,
        PRIMARY KEY (tenant, run_id, version)
      )`);

    await runner.query(`
      CREATE TABLE api.parked_events (
        topic       text        NOT NULL,
        "partition" integer     NOT NULL,
        "offset"    bigint      NOT NULL,
        reason      text        NOT NULL,
        problem     text,
        tenant      text,
        run_id      uuid,
        version     integer,
        event_id    text,
        type        text,
        body        json,
        parked_at   timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (topic, "partition", "offset")
      )`);
    await runner.query(
      'CREATE INDEX parked_events_by_run ON api.parked_events (tenant, run_id, version)',
    );

    await runner.query(outboxTableSql('api'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'DROP TABLE api.runs, api.run_events, api.parked_events, api.outbox, api.leases',
    );
  }
}
