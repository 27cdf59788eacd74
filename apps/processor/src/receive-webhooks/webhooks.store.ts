/**
 * The webhooks that OpenAI has sent: an inbox.
 *
 * (I1) A delivery is stored once by its id; repeats change nothing, before it is settled or after.
 * (I2) Whoever takes a row moves its time on by `takenForMs` in the same statement: two processors do not work on it at once, and
 *      where the one dies the row is due again.
 */
import { statement, type Database } from '#libs/postgres';
import type { LookUp } from '#libs/openai-gateway';

export interface ToldEnd {
  readonly webhookId: string;
  readonly responseId: string;
  /** Whose secret signed it. */
  readonly account: string;
}

export interface DueWebhook extends ToldEnd {
  /** This one included. */
  readonly looks: number;
}

export class WebhooksStore {
  constructor(
    private readonly database: Database,
    private readonly takenForMs: number,
  ) {}

  /** False: it was there (I1). */
  async put({ webhookId, responseId, account }: ToldEnd): Promise<boolean> {
    return (await this.database.query(PUT, [webhookId, responseId, account])).rowCount > 0;
  }

  /** Those that are due, oldest first. */
  async take(max: number): Promise<DueWebhook[]> {
    const { rows } = await this.database.query<DueWebhook>(TAKE, [max, this.takenForMs]); // (I2)
    return rows;
  }

  /** @param runId whose call was found; where it has stopped or ended, what it spent is looked at anew, in one statement with this */
  async settle(
    webhookId: string,
    outcome: LookUp['kind'] | 'given_up',
    runId: string | null,
  ): Promise<void> {
    await this.database.query(SETTLE, [webhookId, outcome, runId]);
  }

  async lookAgain(webhookId: string, inMs: number): Promise<void> {
    await this.database.query(LOOK_AGAIN, [webhookId, inMs]);
  }
}

const PUT = statement(
  'processor.webhooks.put',
  `INSERT INTO processor.webhooks (webhook_id, response_id, account) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
);

const TAKE = statement(
  'processor.webhooks.take',
  `WITH due AS (
     SELECT webhook_id FROM processor.webhooks WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
   UPDATE processor.webhooks w SET looks = w.looks + 1, due_at = now() + $2 * interval '1 ms'
   FROM due WHERE w.webhook_id = due.webhook_id
   RETURNING w.webhook_id AS "webhookId", w.response_id AS "responseId", w.account, w.looks`,
);

const SETTLE = statement(
  'processor.webhooks.settle',
  `WITH run AS (UPDATE processor.unsettled_runs SET due_at = now() WHERE run_id = $3::uuid)
   UPDATE processor.webhooks SET due_at = NULL, outcome = $2 WHERE webhook_id = $1`,
);

const LOOK_AGAIN = statement(
  'processor.webhooks.look_again',
  `UPDATE processor.webhooks SET due_at = now() + $2 * interval '1 ms' WHERE webhook_id = $1 AND due_at IS NOT NULL`,
);
