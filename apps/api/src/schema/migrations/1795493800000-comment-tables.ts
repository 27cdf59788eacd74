import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What each table of the api is for, where whoever looks into the database sees it; docs/database.md is drawn from it. */
export class CommentTables1795493800000 implements MigrationInterface {
  name = 'CommentTables1795493800000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      COMMENT ON TABLE api.runs IS
        'One row per run: what was asked, which never changes, and where it stands, which follows the run''s events.';
      COMMENT ON COLUMN api.runs.id IS 'UUIDv7: newer runs have greater ids, so pages are cut by id.';
      COMMENT ON COLUMN api.runs.idempotency_key IS 'null for a run that only its events told of.';
      COMMENT ON COLUMN api.runs.body_hash IS 'SHA-256 of the body''s RFC 8785 form, before defaults.';
      COMMENT ON COLUMN api.runs.workflow_version IS 'Pinned when the run was accepted.';
      COMMENT ON COLUMN api.runs.input_ref IS 'The input, in the content store.';
      COMMENT ON COLUMN api.runs.version IS 'Of the newest event that is applied; 0: accepted, no event yet.';
      COMMENT ON COLUMN api.runs.revision IS 'Changes of the view that no new event made.';
      COMMENT ON COLUMN api.runs.result IS
        'The result where it came inline; else it is in the content store, under result_ref.';

      COMMENT ON TABLE api.run_events IS 'A run''s history: each fact once, in the order of version.';
      COMMENT ON COLUMN api.run_events.event_id IS 'ce_id';
      COMMENT ON COLUMN api.run_events.type IS 'ce_type';
      COMMENT ON COLUMN api.run_events.body IS 'The event as it was published.';

      COMMENT ON TABLE api.parked_events IS
        'Events set aside, by their place in the log, so that the consumer goes on and nothing hides.';
      COMMENT ON COLUMN api.parked_events.reason IS
        'gap and unknown_run wait for their turn and are taken up again; the others stay until a person, or a build that understands them, deals with them.';
      COMMENT ON COLUMN api.parked_events.problem IS 'What is wrong, in one line; null where waiting is all.';

      COMMENT ON TABLE api.leases IS 'Who leads the relay of this schema''s outbox, and until when.';
      COMMENT ON COLUMN api.leases.epoch IS 'Grows with each new leader; every write of a leader carries its own.'`);
  }

  /** Comments go with their tables. */
  async down(): Promise<void> {}
}
