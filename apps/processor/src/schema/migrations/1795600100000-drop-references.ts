import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Attempts and check-points are written only where their run's row is locked, and removed before it (retention.store.ts). The
 * foreign keys said so once more with each insert: a look-up and another lock on that row.
 */
export class DropReferences1795600100000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE processor.check_points DROP CONSTRAINT check_points_run_id_fkey;
      ALTER TABLE processor.attempts DROP CONSTRAINT attempts_run_id_fkey`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['check_points', 'attempts']) {
      await runner.query(
        `ALTER TABLE processor.${table} ADD FOREIGN KEY (run_id) REFERENCES processor.executions ON DELETE CASCADE`,
      );
    }
  }
}
