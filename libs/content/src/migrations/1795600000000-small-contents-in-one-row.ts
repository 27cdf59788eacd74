import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The bytes of a small content stand beside its name. As name, body and chunk it took three rows, two looks at foreign keys and
 * entries in six indexes, and every run writes two such contents. What was written before stays as it is.
 */
export class SmallContentsInOneRow1795600000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE content.contents
        ADD COLUMN bytes bytea,
        ALTER COLUMN body_id DROP NOT NULL,
        DROP CONSTRAINT contents_body_id_key,
        ADD CONSTRAINT contents_bytes_or_body CHECK ((bytes IS NULL) <> (body_id IS NULL));
      CREATE UNIQUE INDEX contents_body ON content.contents (body_id) WHERE body_id IS NOT NULL;
      COMMENT ON COLUMN content.contents.bytes IS 'Of a small content; null: they are chunks of the body.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TEMPORARY TABLE small_contents ON COMMIT DROP AS
        SELECT tenant, digest, gen_random_uuid() AS body_id, bytes FROM content.contents WHERE bytes IS NOT NULL;
      INSERT INTO content.bodies (body_id, adopted_at) SELECT body_id, now() FROM small_contents;
      INSERT INTO content.chunks (body_id, position, bytes) SELECT body_id, 0, bytes FROM small_contents;
      DROP INDEX content.contents_body;
      ALTER TABLE content.contents DROP CONSTRAINT contents_bytes_or_body, DROP COLUMN bytes;
      UPDATE content.contents c SET body_id = s.body_id
        FROM small_contents s WHERE c.tenant = s.tenant AND c.digest = s.digest;
      ALTER TABLE content.contents ALTER COLUMN body_id SET NOT NULL, ADD UNIQUE (body_id)`);
  }
}
