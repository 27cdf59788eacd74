import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Runs that wait for a person are counted at every scrape: without an index that reads every run there ever was. */
export class IndexReviews1795493960000 implements MigrationInterface {
  readonly name = 'IndexReviews1795493960000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX executions_needs_review ON processor.executions (tenant, model) WHERE status = 'needs_review'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX processor.executions_needs_review');
  }
}
