/**
 * What people decided about runs, and what it was answered with. All in the caller's transaction, with the run's row locked.
 *
 * (D1) A decision is stored once, by run and decision id, and answered once: the answer is stored with the message that bore it.
 * (D2) An answer takes a `version` of its run, and its place in the outbox, like every event: see (X3).
 * (D3) A repeated decision repeats that message, with its id and version; it changes nothing.
 */
import type { DecisionName, DecisionRefusal } from '#libs/domain';
import type { OutboxMessage } from '#libs/messaging';
import { hotStatement, statement, type Tx } from '#libs/postgres';

/** Bare UUIDs. */
export interface Decision {
  readonly runId: string;
  readonly decisionId: string;
  readonly decision: DecisionName;
}

export interface DecisionAnswer extends Decision {
  /** null: it was carried out. */
  readonly refusal: DecisionRefusal | null;
}

export interface AnsweredDecision {
  readonly answer: DecisionAnswer;
  readonly message: OutboxMessage;
}

export interface StoredDecision extends Decision {
  /** null: not answered yet. */
  readonly answered: OutboxMessage | null;
}

/** Stores those that are not stored yet, as pending (D1). */
export async function storeDecisions(
  tx: Tx,
  decisions: readonly (Decision & { readonly tenant: string; readonly reason: string | null })[],
): Promise<void> {
  if (decisions.length === 0) return;
  const column = <T>(pick: (decision: (typeof decisions)[number]) => T) => decisions.map(pick);
  await tx.query(STORE, [
    column((decision) => decision.runId),
    column((decision) => decision.decisionId),
    column((decision) => decision.tenant),
    column((decision) => decision.decision),
    column((decision) => decision.reason),
  ]);
}

/** The given decisions, as far as they are stored. */
export async function findDecisions(
  tx: Tx,
  decisions: readonly Pick<Decision, 'runId' | 'decisionId'>[],
): Promise<StoredDecision[]> {
  if (decisions.length === 0) return [];
  const { rows } = await tx.query<DecisionRow>(FIND, [
    decisions.map((decision) => decision.runId),
    decisions.map((decision) => decision.decisionId),
  ]);
  return rows.map(storedDecisionOf);
}

/** Of these runs the decisions that are not answered yet, in the order in which they came. */
export async function pendingDecisions(
  tx: Tx,
  runIds: readonly string[],
): Promise<readonly Decision[]> {
  if (runIds.length === 0) return [];
  const { rows } = await tx.query<DecisionRow>(PENDING, [runIds]);
  return rows.map(storedDecisionOf);
}

/** (D1) */
export async function recordAnswers(tx: Tx, answered: readonly AnsweredDecision[]): Promise<void> {
  if (answered.length === 0) return;
  const column = <T>(pick: (each: AnsweredDecision) => T) => answered.map(pick);
  await tx.query(ANSWER, [
    column(({ answer }) => answer.runId),
    column(({ answer }) => answer.decisionId),
    column(({ answer }) => (answer.refusal === null ? 'applied' : 'refused')),
    column(({ message }) => JSON.stringify(message)),
  ]);
}

interface DecisionRow {
  readonly run_id: string;
  readonly decision_id: string;
  readonly decision: DecisionName;
  /** As JSON has it: `message.time` is text. */
  readonly answer: OutboxMessage | null;
}

function storedDecisionOf({ run_id, decision_id, decision, answer }: DecisionRow): StoredDecision {
  const answered = answer && {
    ...answer,
    message: { ...answer.message, time: new Date(answer.message.time) },
  };
  return { runId: run_id, decisionId: decision_id, decision, answered };
}

const STORE = statement(
  'processor.decisions.store',
  `INSERT INTO processor.decisions (run_id, decision_id, tenant, decision, reason, state)
   SELECT run_id, decision_id, tenant, decision, reason, 'pending'
   FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[]) AS d (run_id, decision_id, tenant, decision, reason)
   ORDER BY run_id, decision_id
   ON CONFLICT DO NOTHING`,
);

const FIND = statement(
  'processor.decisions.find',
  `SELECT d.run_id, d.decision_id, d.decision, d.answer FROM processor.decisions d
   JOIN unnest($1::uuid[], $2::uuid[]) AS w (run_id, decision_id) USING (run_id, decision_id)`,
);

const PENDING = hotStatement(
  'processor.decisions.pending',
  `SELECT run_id, decision_id, decision, answer FROM processor.decisions
   WHERE run_id = ANY($1::uuid[]) AND state = 'pending' ORDER BY run_id, received_at, decision_id`,
);

const ANSWER = statement(
  'processor.decisions.answer',
  `UPDATE processor.decisions d SET state = a.state, answer = a.answer, answered_at = now()
   FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::json[]) AS a (run_id, decision_id, state, answer)
   WHERE d.run_id = a.run_id AND d.decision_id = a.decision_id AND d.state = 'pending'`,
);
