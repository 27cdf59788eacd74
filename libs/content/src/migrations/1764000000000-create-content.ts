import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A content is a name (tenant and digest) for a body; a body is its chunks. A body is written before its digest
 * is known, so it has an id of its own, and belongs to nobody until it is adopted. Adopting copies no bytes.
 */
export class CreateContent1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE content.bodies (
        body_id uuid PRIMARY KEY,
        started_at timestamptz NOT NULL DEFAULT now(),
        adopted_at timestamptz
      )`);
    await runner.query(`
      CREATE INDEX bodies_unadopted ON content.bodies (started_at) WHERE adopted_at IS NULL`);
    await runner.query(`
      CREATE TABLE content.chunks (
        body_id uuid NOT NULL REFERENCES content.bodies ON DELETE CASCADE,
        position integer NOT NULL,
        bytes bytea NOT NULL,
        PRIMARY KEY (body_id, position)
      )`);
    await runner.query(`
      CREATE TABLE content.contents (
        tenant text NOT NULL,
        digest bytea NOT NULL CHECK (octet_length(digest) = 32),
        body_id uuid NOT NULL UNIQUE REFERENCES content.bodies,
        media_type text NOT NULL,
        file_name text,
        size_bytes bigint NOT NULL CHECK (size_bytes > 0),
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant, digest)
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE content.contents, content.chunks, content.bodies');
  }
}
