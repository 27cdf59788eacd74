/** A run caught in mid-flight, always at the same place: the model takes as long for each section as it is told. */
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

/** Three sections are answered at once and eight after `ms`; the last one is asked for when one of those is there. */
export function eightAfter(ms: number): number[] {
  return [0, 0, 0, ...Array<number>(atATime).fill(ms), 0];
}

/**
 * @param answerAfterMs one for each section, in the order in which they are asked for; the first ones 0
 * @returns the run's id, once those are finished and eight are at the model
 */
export async function slowTender(flow: Flow, answerAfterMs: readonly number[]): Promise<string> {
  await flow.simulator.script(
    ...answerAfterMs.map((ms) => ({
      match: { inputIncludes: '<document_section' },
      fault: { kind: 'latency', ms } as const,
    })),
  );
  const file = join(repositoryRoot, 'dev/samples/larkmoor-patient-booking.md');
  const { id } = await flow.runs.readTender(await readFile(file, 'utf8'));
  const early = answerAfterMs.findIndex((ms) => ms > 0);
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
