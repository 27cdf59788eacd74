/**
 * What is finished of a run: one row per model call that was read. A takeover continues after the last of them.
 *
 * (S1) Saved under the fence of the claim, with the run's row locked: an owner that has lost the run saves nothing.
 * (S2) Saved once: a second save of the same item keeps the first.
 * (S3) A saved item is progress: leases lost before it no longer count.
 */
import { packBytes, KeyedBatcher, statement, type Database } from '#libs/postgres';

export interface CheckPoint {
  readonly tenant: string;
  readonly runId: string;
  readonly fence: bigint;
  readonly step: number;
  readonly item: number;
  /** JSON; kept as bytes, since model output may hold U+0000. */
  readonly value: unknown;
}

export class CheckPointsStore {
  private readonly batcher: KeyedBatcher<CheckPoint, boolean>;

  constructor(private readonly database: Database) {
    this.batcher = new KeyedBatcher({
      name: 'processor.check-points',
      keyOf: ({ runId, step, item }: CheckPoint) => `${runId}/${step}/${item}`,
      write: (points) => this.write(points),
    });
  }

  /** @returns false where the run is no longer ours */
  save(point: CheckPoint): Promise<boolean> {
    return this.batcher.push(point);
  }

  /** Values by step and item. */
  async load(runId: string): Promise<ReadonlyMap<number, ReadonlyMap<number, unknown>>> {
    const { rows } = await this.database.query<{ step: number; item: number; value: Buffer }>(
      LOAD,
      [runId],
    );
    const steps = new Map<number, Map<number, unknown>>();
    for (const { step, item, value } of rows) {
      const items = steps.get(step) ?? new Map<number, unknown>();
      steps.set(step, items.set(item, JSON.parse(value.toString('utf8'))));
    }
    return steps;
  }

  private async write(points: readonly CheckPoint[]): Promise<boolean[]> {
    const column = <T>(pick: (point: CheckPoint) => T) => points.map(pick);
    const packed = packBytes(column((point) => Buffer.from(JSON.stringify(point.value))));
    const { rows } = await this.database.query<{ run_id: string }>(SAVE, [
      column((point) => point.tenant),
      column((point) => point.runId),
      column((point) => point.fence),
      column((point) => point.step),
      column((point) => point.item),
      ...[packed.bytes, packed.starts, packed.sizes],
    ]);
    const ours = new Set(rows.map(({ run_id }) => run_id));
    return points.map((point) => ours.has(point.runId));
  }
}

const LOAD = statement(
  'processor.check_points.load',
  `SELECT step, item, value FROM processor.check_points WHERE run_id = $1`,
);

const SAVE = statement(
  'processor.check_points.save',
  `WITH point AS (
     SELECT p.*, substr($6::bytea, start, size) AS value
     FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::int[], $5::int[], $7::int[], $8::int[])
       AS p (tenant, run_id, fence, step, item, start, size)
   ), ours AS MATERIALIZED (
     SELECT e.run_id, e.fence FROM processor.executions e
     WHERE e.run_id = ANY($2::uuid[]) AND e.status = 'running' ORDER BY e.run_id FOR NO KEY UPDATE
   ), saved AS (
     INSERT INTO processor.check_points (tenant, run_id, step, item, value)
     SELECT p.tenant, p.run_id, p.step, p.item, p.value FROM point p JOIN ours USING (run_id, fence)
     ORDER BY p.run_id, p.step, p.item
     ON CONFLICT DO NOTHING
   ), progress AS (
     UPDATE processor.executions e SET lost_leases = 0
     FROM ours WHERE e.run_id = ours.run_id AND e.lost_leases > 0
       AND EXISTS (SELECT FROM point p WHERE p.run_id = ours.run_id AND p.fence = ours.fence)
   )
   SELECT DISTINCT ours.run_id FROM ours JOIN point USING (run_id, fence)`,
);
