import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A webhook brings the id of a response: whether the ledger knows it is asked once for every call. */
export class IndexCallResponses1795646000000 implements MigrationInterface {
  readonly name = 'IndexCallResponses1795646000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE INDEX calls_response_id ON processor.calls (response_id) WHERE response_id IS NOT NULL`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX processor.calls_response_id`);
  }
}
