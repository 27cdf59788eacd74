/**
 * `npm run bench [-- --runs 5000 --only baseline,foreground]`: Holdfast beside a plain baseline, one after the other on fresh servers, on a model that
 * answers at once. Figures of different machines can't be compared; the two ratios at the end can.
 */
import { listenForInterruption } from '../dev/stack/interruption.js';
import { measure, memoryWaiting, type Figures, type Workload } from './measure.js';
import { numberAfter } from './number-after.js';
import { baseline, holdfastBackground, holdfastForeground, type System } from './systems.js';

const log = (line: string) => console.log(line);
const signal = listenForInterruption(log);
const work: Workload = {
  runs: numberAfter('--runs', 5_000),
  callers: 64,
  steady: { perSecond: 20, runs: 200 },
};

const figures: Figures[] = [];
const systems = { baseline, foreground: holdfastForeground, background: holdfastBackground };
for (const [name, system] of Object.entries(systems)) {
  if (!isChosen(name)) continue;
  log(`── ${system.name}: ${work.runs} runs from ${work.callers} callers, then 20 runs/s`);
  figures.push(await measure(system, work, log, signal));
}
print(figures);
if (isChosen('waiting')) {
  const runs = numberAfter('--waiting', 10_000);
  log(`── memory with ${runs} runs waiting`);
  const { api = 0, worker = 0 } = await memoryWaiting(
    holdfastForeground,
    runs,
    work.callers,
    log,
    signal,
  );
  log(`MiB with ${runs} runs waiting: api ${api.toFixed(0)}, worker ${worker.toFixed(0)}`);
}
process.exit(0);

function print(all: readonly Figures[]): void {
  console.table(Object.fromEntries(all.map((each) => [each.system, rowOf(each)])));
  const of = ({ name }: System) => all.find(({ system }) => system === name);
  const [plain, holdfast] = [of(baseline), of(holdfastForeground)];
  if (!plain || !holdfast) return;
  log(`ratio completed/s: ${(holdfast.completedPerSecond / plain.completedPerSecond).toFixed(2)}`);
  log(`ratio cpu/run: ${(cpuOf(holdfast) / cpuOf(plain)).toFixed(2)}`);
}

function rowOf(figures: Figures): Record<string, string> {
  const { cpuMsPerRun, memoryMiB } = figures;
  const round = (value: number | undefined) => (value ?? 0).toFixed(2);
  return {
    'accepted/s': figures.acceptedPerSecond.toFixed(0),
    'completed/s': figures.completedPerSecond.toFixed(0),
    'accept p50/p99 ms': pair(figures.acceptMs),
    'seen p50/p99 ms': pair(figures.seenMs),
    'accept at 20/s': pair(figures.steadyAcceptMs),
    'seen at 20/s': pair(figures.steadySeenMs),
    'CPU ms/run': round(cpuOf(figures)),
    'api + worker + postgres + kafka': ['api', 'worker', 'postgres', 'kafka']
      .map((name) => round(cpuMsPerRun[name]))
      .join(' + '),
    'MiB api + worker': `${(memoryMiB.api ?? 0).toFixed(0)} + ${(memoryMiB.worker ?? 0).toFixed(0)}`,
  };
}

function pair({ p50, p99 }: { p50: number; p99: number }): string {
  return `${p50.toFixed(1)} / ${p99.toFixed(1)}`;
}

function cpuOf({ cpuMsPerRun }: Figures): number {
  return Object.values(cpuMsPerRun).reduce((sum, each) => sum + each, 0);
}

/** `--only baseline,foreground`: one or some of baseline, foreground, background, waiting. */
function isChosen(name: string): boolean {
  const index = process.argv.indexOf('--only');
  return index < 0 || (process.argv[index + 1] ?? '').split(',').includes(name);
}
