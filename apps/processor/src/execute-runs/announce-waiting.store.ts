/**
 * Runs that have waited for a worker for over a second say so, once per wait: `RunQueued`, or `RunWaiting` with the reason where their
 * lane is shut. Those that said they wait for a worker, and whose lane was shut after that, say so anew.
 *
 * A run that has told nothing yet is queued to every eye since it was accepted. Where nothing is shut it says so again only after
 * 15 s: in a backlog, an event and all that it makes others do would else come on top of each run's work. It must be well within
 * the minute after which the api asks whether its request was lost (`decide-ask.ts`).
 */
import type { Outbox } from '#libs/messaging';
import type { ShutLane } from '#libs/openai-gateway';
import { statement, type Database, type Tx } from '#libs/postgres';
import {
  changeExecutions,
  unchanged,
  type ExecutionChange,
  type ExecutionRow,
} from '../schema/index.js';

export class AnnounceWaitingStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /** @returns how many were announced */
  async announce(limit: number, shut: readonly ShutLane[] = []): Promise<number> {
    return this.database.transaction(async (tx) => {
      const { rows: fresh } = await tx.query<ExecutionRow>(UNANNOUNCED, [limit, shut.length > 0]);
      const left = limit - fresh.length;
      const rows = [...fresh, ...(shut.length > 0 ? await toldOtherwise(tx, left, shut) : [])];
      await changeExecutions(
        tx,
        this.outbox,
        rows.map((row) => announced(row, shut)),
      );
      return rows.length;
    });
  }
}

async function toldOtherwise(tx: Tx, limit: number, shut: readonly ShutLane[]) {
  const models = shut.map(({ model }) => model);
  const every = models.includes(null);
  const { rows } = await tx.query<ExecutionRow>(TOLD_QUEUED, [limit, every ? null : models]);
  return rows;
}

function announced(row: ExecutionRow, shut: readonly ShutLane[]): ExecutionChange {
  const lane = shut.find(({ model }) => model === null || model === row.model);
  const change = unchanged(row);
  if (lane === undefined) return { ...change, event: 'RunQueued' };
  return { ...change, event: 'RunWaiting', waitingFor: 'outage', because: lane.because };
}

/** A run that is ready but not due yet is still retrying to the eye: it is not announced. */
const UNANNOUNCED = statement(
  'processor.executions.unannounced',
  `SELECT * FROM processor.executions
   WHERE status = 'ready' AND NOT wait_announced AND ready_since < now() - interval '1 second'
     AND (next_attempt_at IS NULL OR next_attempt_at < now() - interval '1 second')
     AND (version > 0 OR $2::boolean OR ready_since < now() - interval '15 seconds')
   ORDER BY ready_since LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`,
);

/** Its index holds only such runs. */
const TOLD_QUEUED = statement(
  'processor.executions.told_queued',
  `SELECT * FROM processor.executions
   WHERE status = 'ready' AND wait_announced AND told_waiting_for IS NULL AND ($2::text[] IS NULL OR model = ANY($2::text[]))
   LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`,
);
