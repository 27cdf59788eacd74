import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Until when each holder of references needs a content, as far as is known. What no holder needs is removed. */
export class LetGoOfContents1795493900000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE content.contents
        ADD COLUMN needed_by_api timestamptz DEFAULT now(),
        ADD COLUMN needed_by_processor timestamptz DEFAULT now()`);
    for (const holder of ['api', 'processor']) {
      await runner.query(`
        COMMENT ON COLUMN content.contents.needed_by_${holder} IS
          'Needed until then, as far as is known; the ${holder} looks again afterwards. null: it has let go.'`);
      await runner.query(`
        CREATE INDEX contents_needed_by_${holder} ON content.contents (needed_by_${holder})
        WHERE needed_by_${holder} IS NOT NULL`);
    }
    await runner.query(`
      CREATE INDEX contents_let_go ON content.contents (tenant, digest)
      WHERE needed_by_api IS NULL AND needed_by_processor IS NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE content.contents DROP COLUMN needed_by_api, DROP COLUMN needed_by_processor`);
  }
}
