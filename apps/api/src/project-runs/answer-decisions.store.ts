import { isDecisionId, uuidOfDecision, type DecisionName } from '#libs/domain';
import { statement, type Tx } from '#libs/postgres';
import type { IncomingEvent } from './incoming-event.js';

/** Does the event say what became of a decision? */
export function isAnswer({ event }: IncomingEvent): boolean {
  return event.name === 'RunDecisionApplied' || event.name === 'RunDecisionRefused';
}

/**
 * Notes what became of decisions, and takes their marks off the views. A decision is answered once: what is no longer pending
 * stays as it is, so that an answer that comes again takes no mark of a later decision away.
 *
 * At most one event per run, whose row the transaction has locked.
 * @returns those that are answered by it, for the first time
 */
export async function answerDecisions(
  tx: Tx,
  events: readonly IncomingEvent[],
): Promise<readonly AnsweredDecision[]> {
  const answers = events.flatMap(answerOf);
  if (answers.length === 0) return [];
  const column = <T>(pick: (answer: Answer) => T) => answers.map(pick);
  const { rows } = await tx.query<AnsweredDecision>(ANSWER, [
    column(({ tenant }) => tenant),
    column(({ runUuid }) => runUuid),
    column(({ decisionUuid }) => decisionUuid),
    column(({ refusal }) => (refusal ? 'refused' : 'applied')),
    column(({ refusal }) => refusal?.code ?? null),
    column(({ refusal }) => refusal?.reason.replaceAll('\u0000', '') ?? null),
    column(({ answeredAt }) => answeredAt),
  ]);
  return rows;
}

export interface AnsweredDecision {
  readonly decision: DecisionName;
  /** `applied`, or the code of the refusal. */
  readonly outcome: string;
}

interface Answer {
  readonly tenant: string;
  readonly runUuid: string;
  readonly decisionUuid: string;
  readonly refusal: { readonly code: string; readonly reason: string } | null;
  readonly answeredAt: string;
}

function answerOf({ tenant, runUuid, event }: IncomingEvent): Answer[] {
  switch (event.name) {
    case 'RunDecisionApplied':
    case 'RunDecisionRefused': {
      const { decisionId, occurredAt: answeredAt } = event.data;
      if (!isDecisionId(decisionId)) return []; // not one that was made here
      const refusal = event.name === 'RunDecisionRefused' ? event.data : null;
      return [{ tenant, runUuid, decisionUuid: uuidOfDecision(decisionId), refusal, answeredAt }];
    }
    default:
      return [];
  }
}

const ANSWER = statement(
  'api.answer-decisions',
  `WITH answered AS (
     UPDATE api.decisions d
     SET state = i.state, refusal_code = i.code, refusal_reason = i.reason, answered_at = i.answered_at
     FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
       AS i(tenant, run_id, id, state, code, reason, answered_at)
     WHERE d.tenant = i.tenant AND d.run_id = i.run_id AND d.id = i.id AND d.state = 'pending'
     RETURNING d.tenant, d.run_id, d.decision, d.max_cost_usd, coalesce(d.refusal_code, 'applied') AS outcome
   )
   UPDATE api.runs r
   SET revision = r.revision + 1,
       cancelling = r.cancelling AND a.decision <> 'cancel',
       redrive_pending = r.redrive_pending AND a.decision <> 'redrive',
       discard_pending = r.discard_pending AND a.decision <> 'discard',
       completion_pending = r.completion_pending AND a.decision <> 'complete',
       max_cost_usd = CASE WHEN a.outcome = 'applied' THEN coalesce(a.max_cost_usd, r.max_cost_usd) ELSE r.max_cost_usd END
   FROM answered a WHERE r.tenant = a.tenant AND r.id = a.run_id
   RETURNING a.decision, a.outcome`,
);
