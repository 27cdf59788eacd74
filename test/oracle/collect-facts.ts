/** Gathers facts once everything has come to rest: reads tables, the outside consumer's log, the simulator's bill. */
import { RUN_SPEND_SETTLED, runEventNameOf, topics } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import type { Sql } from '#libs/postgres';
import type { SimulatorClient } from '../support/simulator-client.js';
import { headerOf, type SeenRecord } from '../support/topic-watch.js';
import { mendedAnswers } from './mended-answers.js';
import { priceOfCharge } from './price-of-charge.js';
import type {
  AttemptFact,
  CallFact,
  EffectFact,
  EventFact,
  ExecutionFact,
  Facts,
  SpentFact,
  ViewFact,
} from './facts.js';

export interface Sources {
  readonly database: Sql;
  readonly records: readonly SeenRecord[];
  readonly simulator: Pick<SimulatorClient, 'charges' | 'spoilt'>;
  readonly answers: Facts['answers'];
  /** What a receiver outside got. */
  readonly deliveries: Facts['deliveries'];
  readonly recoveriesMs: readonly number[];
}

export async function collectFacts(sources: Sources): Promise<Facts> {
  const { database, records, simulator, answers, deliveries, recoveriesMs } = sources;
  const [views, executions, attempts, calls, effects, spent, unpublished, charges, spoilt] =
    await Promise.all([
      database.query<ViewFact>(VIEWS),
      database.query<ExecutionRow>(EXECUTIONS),
      database.query<AttemptFact>(ATTEMPTS),
      database.query<CallFact>(CALLS),
      database.query<EffectFact>(EFFECTS),
      database.query<SpentFact>(SPENT),
      database.query<{ rows: number }>(UNPUBLISHED),
      simulator.charges(),
      simulator.spoilt(),
    ]);
  const mended = mendedAnswers(spoilt);
  return {
    ...{ answers, deliveries, recoveriesMs },
    views: views.rows,
    executions: executions.rows.map(({ failure, request, ...run }) => {
      const maxCostUsd = request?.budget?.maxCostUsd ?? null;
      return { ...run, failureClass: failure?.class ?? null, maxCostUsd };
    }),
    attempts: attempts.rows,
    calls: calls.rows,
    effects: effects.rows,
    spent: spent.rows,
    charges: charges.map((charge) => {
      const { callId, runId, responseId } = charge;
      const mends = mended.get(responseId) ?? null;
      return { callId: callId ?? '', runId: runId ?? '', price: priceOfCharge(charge), mends };
    }),
    events: records.filter(isOfTheOrder).map(eventOf),
    deadLetters: records.flatMap(({ topic, key }) =>
      topic === topics.runRequestedDeadLetters && key ? [uuidOf(key.toString() as RunId)] : [],
    ),
    unpublished: unpublished.rows[0]?.rows ?? 0,
  };
}

/** The failure as it is: SQL cannot look into JSON that holds U+0000 or half a surrogate pair. */
type ExecutionRow = Omit<ExecutionFact, 'failureClass' | 'maxCostUsd'> & {
  readonly request: { readonly budget?: { readonly maxCostUsd: string } | null } | null;
  readonly failure: { readonly class: string } | null;
};

/** What is settled of a run's spend is no change of it. */
const isOfTheOrder = (record: SeenRecord): boolean =>
  record.topic === topics.runEvents && headerOf(record, 'ce_type') !== RUN_SPEND_SETTLED;

export function eventOf(record: SeenRecord): EventFact {
  const data = JSON.parse(record.value?.toString() ?? '') as EventFact;
  const { runId, version, status, occurredAt, nextAttemptAt } = data;
  return {
    ...{ version, status, ...(occurredAt && { occurredAt }) },
    ...(nextAttemptAt && { nextAttemptAt }),
    runId: uuidOf(runId as RunId),
    id: headerOf(record, 'ce_id') ?? '',
    name: runEventNameOf(headerOf(record, 'ce_type') ?? '') ?? 'unknown',
  };
}

const VIEWS = `SELECT id::text AS "runId", idempotency_key AS key, status, version FROM api.runs`;

const EXECUTIONS = `SELECT run_id::text AS "runId", status, version, failure, request
  FROM processor.executions`;

const ATTEMPTS = `SELECT run_id::text AS "runId", fence::text, dispatch, outcome FROM processor.attempts`;

const CALLS = `SELECT call_id::text AS "callId", run_id::text AS "runId", step, item, state,
    possible_duplicate AS "possibleDuplicate", reserved, cost, lost_sendings AS "lostSendings",
    usage_estimated AS "usageEstimated"
  FROM processor.calls`;

const EFFECTS = `SELECT 'dlv_' || effect_id AS "deliveryId", run_id::text AS "runId", step, state,
    possible_duplicate AS "possibleDuplicate"
  FROM processor.effects`;

const SPENT = `SELECT run_id::text AS "runId", sum(booked)::bigint AS booked, sum(uncertain)::bigint AS uncertain
  FROM api.run_spend GROUP BY run_id`;

const UNPUBLISHED = `SELECT ((SELECT count(*) FROM api.outbox) + (SELECT count(*) FROM processor.outbox))::int AS rows`;
