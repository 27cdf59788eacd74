import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the ledger's columns mean, where whoever looks into the database sees it; docs/database.md is drawn from it. */
export class CommentCalls1795493801500 implements MigrationInterface {
  readonly name = 'CommentCalls1795493801500';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      COMMENT ON COLUMN processor.calls.try IS
        'From 0, + 1 for each new call of the item after one that failed.';
      COMMENT ON COLUMN processor.calls.fence IS 'Of the claim under which it was planned or picked up last.';
      COMMENT ON COLUMN processor.calls.attempt_count IS 'How often it was sent.';
      COMMENT ON COLUMN processor.calls.response_id IS
        'OpenAI''s, stored before anything else is done with the response: any processor can fetch it.';
      COMMENT ON COLUMN processor.calls.request_id IS 'OpenAI''s, for questions to its support.';
      COMMENT ON COLUMN processor.calls.served_model IS 'The dated model that answered.'`);
  }

  /** Comments go with their table. */
  async down(): Promise<void> {}
}
