import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What OpenAI has told of, written before it is answered, and worked on afterwards by whichever processor comes to it. */
export class CreateWebhooks1795646100000 implements MigrationInterface {
  readonly name = 'CreateWebhooks1795646100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE processor.webhooks (
        webhook_id   text PRIMARY KEY,
        response_id  text NOT NULL,
        received_at  timestamptz NOT NULL DEFAULT now(),
        looks        integer NOT NULL DEFAULT 0,
        due_at       timestamptz DEFAULT now(),
        outcome      text,
        CHECK ((due_at IS NULL) = (outcome IS NOT NULL))
      )`);
    await runner.query(`
      CREATE INDEX webhooks_due ON processor.webhooks (due_at) WHERE due_at IS NOT NULL`);
    await runner.query(`
      CREATE INDEX webhooks_received ON processor.webhooks (received_at)`);
    await runner.query(`
      COMMENT ON TABLE processor.webhooks IS
        'Responses that OpenAI says have ended, once per delivery, with what came of looking for their calls. No tenant: that is known of the call.'`);
    await runner.query(`
      COMMENT ON COLUMN processor.webhooks.due_at IS 'When to look for its call next; null: settled.'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE processor.webhooks`);
  }
}
