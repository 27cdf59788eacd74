/** How long the runs of a killed processor lie idle: from the kill until the last of them is in other hands, or has moved on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '#libs/postgres';
import type { AppProcess } from '../support/app-process.js';

const lookEveryMs = 100;
const giveUpMs = 60_000;

/** Kills; null where it held no run. */
export async function killAndMeasure(
  processor: AppProcess,
  database: Database,
): Promise<number | null> {
  processor.freeze(); // what it holds now is what it holds when it dies
  const held = await heldBy(processor, database);
  const killedAt = performance.now();
  await processor.killHard();
  if (held.length === 0) return null;
  while (performance.now() - killedAt < giveUpMs) {
    if (await areInOtherHands(held, database)) break;
    await sleep(lookEveryMs);
  }
  return Math.round(performance.now() - killedAt);
}

interface HeldRun {
  readonly runId: string;
  readonly fence: string;
}

async function heldBy({ pid }: AppProcess, database: Database): Promise<HeldRun[]> {
  const { rows } = await database.query<HeldRun>(
    `SELECT run_id::text AS "runId", fence::text FROM processor.executions WHERE status = 'running' AND owner LIKE $1`,
    [`%.${pid}.%`],
  );
  return rows;
}

async function areInOtherHands(held: readonly HeldRun[], database: Database): Promise<boolean> {
  const { rows } = await database.query<{ left: number }>(
    `SELECT count(*)::int AS left FROM processor.executions e
     JOIN unnest($1::uuid[], $2::bigint[]) AS h (run_id, fence) ON h.run_id = e.run_id AND h.fence = e.fence
     WHERE e.status = 'running' OR e.status = 'ready'`,
    [held.map(({ runId }) => runId), held.map(({ fence }) => fence)],
  );
  return rows[0]?.left === 0;
}
