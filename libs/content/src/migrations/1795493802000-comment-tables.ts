import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What each table of contents is for, where whoever looks into the database sees it; docs/database.md is drawn from it. */
export class CommentTables1795493802000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      COMMENT ON TABLE content.contents IS
        'A name for a body: inputs, documents and results, by tenant and by digest of their bytes.';
      COMMENT ON COLUMN content.contents.digest IS
        'SHA-256 of tenant and bytes: the same bytes of two tenants have two names.';
      COMMENT ON TABLE content.bodies IS
        'Bytes being written, or written. It belongs to nobody until a content names it.';
      COMMENT ON COLUMN content.bodies.adopted_at IS
        'When a content named it. Bodies of uploads that died stay null and are removed.';
      COMMENT ON TABLE content.chunks IS 'The bytes of a body, in pieces of 256 KiB.'`);
  }

  /** Comments go with their tables. */
  async down(): Promise<void> {}
}
