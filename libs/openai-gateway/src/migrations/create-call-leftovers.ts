import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A run may end before all of its calls have, and before what was used for them is removed at OpenAI. */
export class CreateCallLeftovers1795700320000 implements MigrationInterface {
  readonly name = 'CreateCallLeftovers1795700320000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.call_leftovers (
        run_id  uuid PRIMARY KEY,
        looks   integer NOT NULL DEFAULT 0,
        due_at  timestamptz NOT NULL
      )`);
    await runner.query(`CREATE INDEX call_leftovers_due_at ON processor.call_leftovers (due_at)`);
    await runner.query(`
      COMMENT ON TABLE processor.call_leftovers IS
        'Ended runs of which a call may go on at OpenAI, or a conversation stand there: when somebody looks at them next.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.call_leftovers`);
  }
}
