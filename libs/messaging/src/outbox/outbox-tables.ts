import { leasesTableSql } from '#libs/postgres';

/**
 * DDL for the owner's migration: the outbox and the lease row of its relay. Statements are separated by semicolons.
 *
 * Bodies and headers are `bytea`: both may hold U+0000, which text and jsonb refuse. Rows live for milliseconds, so the table
 * is all dead rows: vacuum looks at it every 1,000 of them, and indexes are few.
 */
export function outboxTableSql(schema: string): string {
  return `
  CREATE TABLE ${schema}.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME ${schema}.outbox_order) PRIMARY KEY,
    topic text NOT NULL,
    key text NOT NULL,
    headers bytea NOT NULL,
    body bytea NOT NULL,
    size_bytes integer NOT NULL,
    appended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    parked_at timestamptz,
    parked_reason text
  ) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
  );
  COMMENT ON TABLE ${schema}.outbox IS
    'A row exists until Kafka has acknowledged it. parked_at: Kafka refused it for good; later rows of its key wait behind it.';
  CREATE INDEX outbox_parked ON ${schema}.outbox (key, seq) WHERE parked_at IS NOT NULL;
  ${leasesTableSql(schema)};`;
}
