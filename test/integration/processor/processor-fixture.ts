/**
 * Real: Postgres with the processor's own tables, and every store of the processor. Stands in: nothing; Kafka is not needed, since
 * nobody relays the outbox here: all that a run has told stays to be read.
 * Several processors over one database are several sets of stores, each with its own name and its own connections.
 */
import { randomUUID } from 'node:crypto';
import { isRepeated, parseRunEvent, workHeaders, type RunEventName } from '#libs/contracts';
import { runIdOf, type DecisionName, type RunFailure } from '#libs/domain';
import { Outbox } from '#libs/messaging';
import { Database, type DatabaseOptions, type Tx } from '#libs/postgres';
import { AdmitRunsStore } from '../../../apps/processor/src/admit-runs/admit-runs.store.js';
import type { CheckedDecision } from '../../../apps/processor/src/admit-runs/apply-decisions.store.js';
import type { IncomingWork } from '../../../apps/processor/src/admit-runs/incoming-work.js';
import { AnnounceWaitingStore } from '../../../apps/processor/src/execute-runs/announce-waiting.store.js';
import { CheckPointsStore } from '../../../apps/processor/src/execute-runs/check-points.store.js';
import { ClaimRunsStore } from '../../../apps/processor/src/execute-runs/claim-runs.store.js';
import { LeasesStore } from '../../../apps/processor/src/execute-runs/leases.store.js';
import { RunMovesStore } from '../../../apps/processor/src/execute-runs/run-moves.store.js';
import { RescueRunsStore } from '../../../apps/processor/src/rescue-runs/rescue-runs.store.js';
import type { ExecutionRow } from '../../../apps/processor/src/schema/index.js';
import { workflows } from '#libs/workflows';
import { freshDatabase } from '../../support/stack.js';

export interface SpecProcessor {
  readonly owner: string;
  readonly database: Database;
  readonly admit: AdmitRunsStore;
  readonly claims: ClaimRunsStore;
  readonly leases: LeasesStore;
  readonly moves: RunMovesStore;
  readonly checkPoints: CheckPointsStore;
  readonly rescue: RescueRunsStore;
  readonly announce: AnnounceWaitingStore;
}

export interface ToldEvent {
  readonly seq: bigint;
  /** `ce_id` */
  readonly id: string;
  readonly runId: string;
  readonly name: RunEventName;
  readonly version: number;
  readonly status: string;
  /** Bare UUID of the decision that it answers. */
  readonly answers: string | null;
  /** Why a decision was refused. */
  readonly refusal: string | null;
  readonly usage: unknown;
  /** Sent again because the api asked. */
  readonly repeated: boolean;
  /** The data as it was published. */
  readonly data: unknown;
  readonly occurredAt: string;
  /** Of a scheduled retry. */
  readonly nextAttemptAt?: string;
}

export interface ToldMessage {
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type StoredRow = ExecutionRow & { readonly lease_until: Date | null };

export interface ProcessorFixture {
  readonly database: Database;
  processor(owner: string, options?: { leaseMs?: number; maxConnections?: number }): SpecProcessor;
  /** SQLSTATEs that any processor has met, those that its batchers mended by trying again too. */
  readonly sqlStates: string[];
  row(runId: string): Promise<StoredRow>;
  /** What the run has told, in the order in which the relay would publish it. */
  events(runId?: string): Promise<ToldEvent[]>;
  /** Its retries and dead letters. */
  sent(runId: string): Promise<ToldMessage[]>;
  /** Ready runs, straight into the table. */
  insertReady(tenant: string, runs: number): Promise<void>;
  /** A call of the run that waits at OpenAI. @returns its fence, when asked */
  insertCall(runId: string, fence: bigint): Promise<() => Promise<bigint>>;
  /** As if the time of the lease had passed. */
  expire(...runIds: string[]): Promise<void>;
  /** No runs, nothing told; lanes stay, as they do for the processor, and are all even. */
  empty(): Promise<void>;
  sql<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
}

export const LEASE_MS = 10_000;

export async function openProcessorFixture(): Promise<ProcessorFixture> {
  const fresh = await freshDatabase('migrated');
  const databases: Database[] = [];
  const sqlStates: string[] = [];
  const open = (name: string, maxConnections: number) => {
    const options = { url: fresh.url, applicationName: name, maxConnections };
    const opened = new WatchedDatabase(options, (sqlState) => sqlStates.push(sqlState));
    databases.push(opened);
    return opened;
  };
  const database = open('processor-spec', 4);
  const outbox = new Outbox({ schema: 'processor', source: '/holdfast/processor' });
  const sql = async <Row>(text: string, values: readonly unknown[] = []) =>
    (await database.query<Row>(text, values)).rows;
  return {
    database,
    sql,
    sqlStates,
    processor: (owner, { leaseMs = LEASE_MS, maxConnections = 4 } = {}) => {
      const own = open(owner, maxConnections);
      return {
        owner,
        database: own,
        admit: new AdmitRunsStore(own, outbox, workflows),
        claims: new ClaimRunsStore(own, outbox, owner, leaseMs),
        leases: new LeasesStore(own, owner, leaseMs),
        moves: new RunMovesStore(own, outbox, { hint: () => undefined }),
        checkPoints: new CheckPointsStore(own),
        rescue: new RescueRunsStore(own, outbox),
        announce: new AnnounceWaitingStore(own, outbox),
      };
    },
    row: async (runId) => {
      const rows = await sql<StoredRow>('SELECT * FROM processor.executions WHERE run_id = $1', [
        runId,
      ]);
      return rows[0]!;
    },
    events: async (runId) => {
      const rows = await sql<OutboxRow>(
        `SELECT seq, headers, body FROM processor.outbox
         WHERE topic = 'holdfast.run.events.v1' AND ($1::text IS NULL OR key = $1) ORDER BY seq`,
        [runId === undefined ? null : runIdOf(runId)],
      );
      return rows.map(eventOf);
    },
    sent: async (runId) => {
      const rows = await sql<OutboxRow & { topic: string }>(
        `SELECT seq, topic, headers, body FROM processor.outbox
         WHERE topic <> 'holdfast.run.events.v1' AND key = $1 ORDER BY seq`,
        [runIdOf(runId)],
      );
      return rows.map(({ topic, headers }) => ({ topic, headers: headersOf(headers) }));
    },
    insertReady: async (tenant, runs) => {
      await sql(
        `INSERT INTO processor.lanes (tenant, model) VALUES ($1, 'gpt-5.2') ON CONFLICT DO NOTHING`,
        [tenant],
      );
      await sql(
        `INSERT INTO processor.executions (run_id, tenant, model, priority, workflow, workflow_version, request, origin,
           status, dispatch, max_attempts)
         SELECT gen_random_uuid(), $1, 'gpt-5.2', 1, 'answer', 1, $3::json, $4::json, 'ready', 1, 5
         FROM generate_series(1, $2::int)`,
        [tenant, runs, JSON.stringify(aWork({ tenant }).request), JSON.stringify(aWork().origin)],
      );
    },
    insertCall: async (runId, fence) => {
      const callId = randomUUID();
      await sql(
        `INSERT INTO processor.calls (call_id, tenant, run_id, step, item, try, state, fence, mode, model, response_id)
         VALUES ($1, 'default', $2, 0, 0, 1, 'accepted', $3, 'background', 'gpt-5.2', 'resp_1')`,
        [callId, runId, fence],
      );
      return async () => {
        const rows = await sql<{ fence: bigint }>(
          'SELECT fence FROM processor.calls WHERE call_id = $1',
          [callId],
        );
        return rows[0]!.fence;
      };
    },
    expire: async (...runIds) => {
      await sql(
        `UPDATE processor.executions SET lease_until = now() - interval '1 ms' WHERE run_id = ANY($1::uuid[])`,
        [runIds],
      );
    },
    empty: async () => {
      // Not TRUNCATE: for a few rows that takes ten times as long.
      await sql(
        `WITH runs AS (DELETE FROM processor.executions), points AS (DELETE FROM processor.check_points),
           attempts AS (DELETE FROM processor.attempts), decisions AS (DELETE FROM processor.decisions),
           calls AS (DELETE FROM processor.calls), stops AS (DELETE FROM processor.call_stops),
           fences AS (DELETE FROM processor.run_fences), leftovers AS (DELETE FROM processor.call_leftovers),
           effects AS (DELETE FROM processor.effects), unsettled AS (DELETE FROM processor.unsettled_runs)
         DELETE FROM processor.outbox`,
      );
      await sql('UPDATE processor.lanes SET virtual_time = 0, weight = 1, paused = false');
    },
    stop: async () => {
      await Promise.all(databases.map((each) => each.close()));
      await fresh.drop();
    },
  };
}

class WatchedDatabase extends Database {
  constructor(
    options: DatabaseOptions,
    private readonly onError: (sqlState: string) => void,
  ) {
    super(options);
  }

  override query<Row>(...args: Parameters<Database['query']>) {
    return this.watch(super.query<Row>(...args));
  }

  override transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.watch(super.transaction(work));
  }

  private async watch<T>(running: Promise<T>): Promise<T> {
    try {
      return await running;
    } catch (error) {
      const { code } = error as { code?: string };
      this.onError(code ?? String(error));
      throw error;
    }
  }
}

interface OutboxRow {
  readonly seq: bigint;
  readonly headers: Buffer;
  readonly body: Buffer;
}

function eventOf({ seq, headers, body }: OutboxRow): ToldEvent {
  const data: unknown = JSON.parse(body.toString('utf8'));
  const parsed = parseRunEvent({ type: headersOf(headers)['ce_type'] ?? '', data });
  if (parsed.kind !== 'parsed') throw new Error(`unreadable event: ${JSON.stringify(parsed)}`);
  const { name, data: event } = parsed.value;
  const { runId, version, status } = event;
  const isAnswer = name === 'RunDecisionApplied' || name === 'RunDecisionRefused';
  return {
    ...{ seq, id: headersOf(headers)['ce_id'] ?? '', runId, name, version, status },
    answers: isAnswer ? event.decisionId.slice('dec_'.length) : null,
    refusal: name === 'RunDecisionRefused' ? event.code : null,
    usage: 'usage' in event ? event.usage : null,
    repeated: isRepeated(headersOf(headers)),
    data,
    occurredAt: event.occurredAt,
    ...('nextAttemptAt' in event && { nextAttemptAt: event.nextAttemptAt }),
  };
}

function headersOf(headers: Buffer): Record<string, string> {
  return JSON.parse(headers.toString('utf8')) as Record<string, string>;
}

export function aWork(changes: Partial<IncomingWork> & { tenant?: string } = {}): IncomingWork {
  const { tenant = 'default', runId = randomUUID(), ...rest } = changes;
  return {
    runId,
    dispatch: 1,
    hop: 0,
    seenVersion: null,
    request: {
      runId: runIdOf(runId),
      tenant,
      workflow: 'answer',
      workflowVersion: 1,
      inputRef: 'cnt_input',
      documents: [],
      priority: 'batch',
      deadlineAt: null,
      reference: null,
      labels: {},
    },
    model: 'gpt-5.2',
    maxAttempts: 5,
    traceparent: null,
    origin: { topic: 'holdfast.run.requested.v1', partition: 0, offset: '1', timestamp: 1 },
    unworkable: null,
    ...rest,
  };
}

/** As it comes out of `AdmitRuns`; the result of a completion is taken to fit. */
export function aDecision(
  runId: string,
  decision: DecisionName,
  changes: Partial<CheckedDecision> = {},
): CheckedDecision {
  const isCompletion = decision === 'complete';
  return {
    ...{ runId, decisionId: randomUUID(), decision, tenant: 'default', reason: 'by hand' },
    ...{ isReemitted: false, budget: null },
    resultRef: isCompletion ? 'cnt_by_hand' : null,
    result: isCompletion
      ? { kind: 'fits', ref: 'cnt_by_hand', inline: { answer: '42' } }
      : { kind: 'unread' },
    ...changes,
  };
}

export const aFailure = (changes: Partial<RunFailure> = {}): RunFailure => ({
  class: 'throttled',
  code: 'rate_limit_exceeded',
  httpStatus: 429,
  requestId: null,
  responseId: null,
  message: 'Rate limit reached',
  fingerprint: 'f00d',
  step: 'ask',
  item: null,
  itemsFailed: null,
  ...changes,
});

export const retryLater = (delayMs: number) =>
  ({
    kind: 'retry_later',
    delayMs,
    attempt: 2,
    reason: 'throttled',
    failure: aFailure(),
  }) as const;

export const completed = { kind: 'completed', result: { ref: 'cnt_r', inline: null } } as const;

export const progressed = (itemsDone: number) =>
  ({
    kind: 'progressed',
    progress: { step: 'Extracting', stepsDone: 0, stepsTotal: 2, itemsDone, itemsTotal: 99 },
    unknownForMs: null,
  }) as const;

export const dispatchOf = (message: ToldMessage) => ({
  dispatch: Number(message.headers[workHeaders.dispatch]),
  hop: Number(message.headers[workHeaders.hop]),
});
