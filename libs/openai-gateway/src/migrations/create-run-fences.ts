import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The fence stands in the rows of calls; an owner who is late may open one that has no row yet. */
export class CreateRunFences1795700310000 implements MigrationInterface {
  readonly name = 'CreateRunFences1795700310000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.run_fences (
        run_id  uuid PRIMARY KEY,
        fence   bigint NOT NULL
      )`);
    await runner.query(`
      COMMENT ON TABLE processor.run_fences IS
        'Runs that were taken from an owner, with the fence since then: no call of theirs is opened for sending under an older one.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.run_fences`);
  }
}
