/** A run caught in mid-flight, always at the same place: most of its sections are at the model until the spec says that they are over. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { uuidOf, type RunId } from '#libs/domain';
import { repositoryRoot } from '../../dev/stack/repository.js';
import { eventually } from './eventually.js';
import type { Flow } from './flow.js';

/** Sections of the sample tender: model calls that its run takes. */
export const sections = 12;
/** How many of them the workflow asks for at a time. */
const atATime = 8;
/** How many are answered at once. */
const early = 3;
/** For ever, as specs go: `SimulatorClient.finish` ends it. */
const heldMs = 600_000;

/**
 * Three sections are answered at once, eight when the spec tells the simulator to finish them, and the last one, which is asked for
 * when one of those is there, at once again.
 * @returns the run's id, once those three are finished and eight are at the model
 */
export async function slowTender(flow: Flow): Promise<string> {
  const latencies = [...Array<number>(early).fill(0), ...Array<number>(atATime).fill(heldMs), 0];
  await flow.simulator.script(
    ...latencies.map((ms) => ({
      match: { inputIncludes: '<document_section' },
      fault: { kind: 'latency', ms } as const,
    })),
  );
  const file = join(repositoryRoot, 'dev/samples/larkmoor-patient-booking.md');
  const { id } = await flow.runs.readTender(await readFile(file, 'utf8'));
  await eventually(`${id} has ${early} sections finished and ${atATime} at the model`, async () => {
    const calls = await callStatesOf(flow, id);
    return calls.done === early && calls.accepted === atATime;
  });
  return id;
}

/** How many of the run's calls are in each state of the ledger. */
async function callStatesOf(flow: Flow, runId: string): Promise<Record<string, number>> {
  const { rows } = await flow.database.query<{ state: string; calls: number }>(
    `SELECT state, count(*)::int AS calls FROM processor.calls WHERE run_id = $1 GROUP BY state`,
    [uuidOf(runId as RunId)],
  );
  return Object.fromEntries(rows.map(({ state, calls }) => [state, calls]));
}
