/** One system on servers of its own: started, warmed up, loaded, read off, ended. */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { runApp, startApp, type AppSpec } from '../dev/start/app-children.js';
import { choosePort } from '../dev/stack/ports.js';
import type { Log } from '../dev/stack/progress.js';
import { startStack } from '../dev/stack/start-stack.js';
import { Supervisor } from '../dev/stack/supervisor.js';
import { childRunning, cpuSecondsOf, memoryMiBOf } from './cpu.js';
import { submitAll, submitSteadily } from './load.js';
import { OutsideConsumer } from './outside-consumer.js';
import { percentiles, type Percentiles } from './percentiles.js';
import type { System } from './systems.js';

export interface Workload {
  readonly runs: number;
  readonly callers: number;
  /** Runs a second for the latency at low load, and for how many of them. */
  readonly steady: { readonly perSecond: number; readonly runs: number };
}

export interface Figures {
  readonly system: string;
  readonly acceptedPerSecond: number;
  readonly completedPerSecond: number;
  readonly acceptMs: Percentiles;
  readonly seenMs: Percentiles;
  /** At low load. */
  readonly steadyAcceptMs: Percentiles;
  readonly steadySeenMs: Percentiles;
  /** Milliseconds of CPU per run, by process; the simulator and the callers are not in it. */
  readonly cpuMsPerRun: Readonly<Record<string, number>>;
  readonly memoryMiB: Readonly<Record<string, number>>;
}

const WARM_UP_RUNS = 500;
const COMPLETED_WITHIN_MS = 300_000;
const SLOW_MODEL_MS = 600_000;

export async function measure(
  system: System,
  work: Workload,
  log: Log,
  signal: AbortSignal,
): Promise<Figures> {
  return withSystem(system, 0, log, signal, (running) => load(system, work, running));
}

/** MiB of each app while so many accepted runs wait for a slot: the model is slow, and nothing is completed. */
export async function memoryWaiting(
  system: System,
  runs: number,
  callers: number,
  log: Log,
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  return withSystem(system, SLOW_MODEL_MS, log, signal, async ({ url, pids, databaseUrl }) => {
    await submitAll(url, keysOf('waiting', runs), callers, system.submissionOf);
    await untilAdmitted(databaseUrl, runs);
    return mapValues(pids, memoryMiBOf);
  });
}

interface RunningSystem {
  readonly url: string;
  readonly brokers: string;
  readonly databaseUrl: string;
  /** By name. */
  readonly pids: Readonly<Record<string, number>>;
}

async function withSystem<T>(
  system: System,
  modelLatencyMs: number,
  log: Log,
  signal: AbortSignal,
  use: (running: RunningSystem) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  await chmod(folder, 0o711); // started by root, Postgres runs as another user, who must get in
  const supervisor = await Supervisor.open(folder, log);
  supervisor.removeInTheEnd(folder);
  try {
    const logFolder = join(folder, 'logs');
    const stack = await startStack({
      ...{ supervisor, log, signal, throwAway: false, dataFolder: folder, logFolder, given: {} },
      ports: { postgres: { kind: 'any' }, kafka: { kind: 'any' } },
    });
    const starter = { supervisor, logFolder, log, signal };
    const start = async (app: AppSpec) => (await startApp(starter, app)).pid;
    const simulatorPort = await freePort('the simulator');
    await start(simulatorOn(simulatorPort, modelLatencyMs));
    const servers = { ...stack, openAiUrl: `http://127.0.0.1:${simulatorPort}/v1` };
    for (const step of system.preparations(servers)) await runApp(starter, step);
    const port = await freePort('the api');
    const pids: Record<string, number> = {};
    for (const app of system.apps(servers, port)) pids[app.name] = await start(app);
    pids.postgres = await childRunning('/postgres', process.pid);
    pids.kafka = await childRunning('kafka.Kafka', process.pid);
    const { kafkaBrokers: brokers, databaseUrl } = stack;
    return await use({ url: `http://127.0.0.1:${port}`, brokers, databaseUrl, pids });
  } finally {
    await supervisor.close();
  }
}

async function load(
  system: System,
  work: Workload,
  { url, brokers, pids }: RunningSystem,
): Promise<Figures> {
  const { submissionOf, completedTopic, completedKeyOf } = system;
  const outside = await OutsideConsumer.open(brokers, completedTopic, completedKeyOf);
  try {
    const warmUp = keysOf('warm', WARM_UP_RUNS);
    await submitAll(url, warmUp, work.callers, submissionOf);
    await outside.all(warmUp, COMPLETED_WITHIN_MS);

    const keys = keysOf('run', work.runs);
    const before = await cpuSecondsOf(pids);
    const startedAtMs = performance.now();
    const submitted = await submitAll(url, keys, work.callers, submissionOf);
    await outside.all(keys, COMPLETED_WITHIN_MS);
    const tookMs = performance.now() - startedAtMs;
    const after = await cpuSecondsOf(pids);
    const memoryMiB = await mapValues(pids, memoryMiBOf);

    const { perSecond, runs } = work.steady;
    const steadyKeys = keysOf('steady', runs);
    const steady = await submitSteadily(url, steadyKeys, perSecond, submissionOf);
    await outside.all(steadyKeys, COMPLETED_WITHIN_MS);
    return {
      system: system.name,
      acceptedPerSecond: (work.runs / submitted.tookMs) * 1_000,
      completedPerSecond: (work.runs / tookMs) * 1_000,
      acceptMs: percentiles(submitted.acceptMs),
      seenMs: percentiles(seenAfter(submitted.sentAtMs, outside)),
      steadyAcceptMs: percentiles(steady.acceptMs),
      steadySeenMs: percentiles(seenAfter(steady.sentAtMs, outside)),
      cpuMsPerRun: Object.fromEntries(
        Object.keys(pids).map((name) => [
          name,
          (((after[name] ?? 0) - (before[name] ?? 0)) * 1_000) / work.runs,
        ]),
      ),
      memoryMiB,
    };
  } finally {
    await outside.close();
  }
}

function keysOf(kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${kind}-${index}`);
}

function seenAfter(sentAtMs: ReadonlyMap<string, number>, outside: OutsideConsumer): number[] {
  return [...sentAtMs].map(([key, sent]) => (outside.seenAtMs.get(key) ?? Infinity) - sent);
}

async function mapValues(
  pids: Readonly<Record<string, number>>,
  read: (pid: number) => Promise<number>,
): Promise<Record<string, number>> {
  const entries = Object.entries(pids).map(async ([name, pid]) => [name, await read(pid)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function freePort(what: string): Promise<number> {
  return (await choosePort({ kind: 'any' }, what)).port;
}

/** The processor's own table says so. */
async function untilAdmitted(databaseUrl: string, runs: number): Promise<void> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    for (const limit = performance.now() + COMPLETED_WITHIN_MS; performance.now() < limit;) {
      const { rows } = await client.query<{ admitted: number }>(COUNT_ADMITTED);
      if (rows[0]?.admitted === runs) return;
      await sleep(500);
    }
    throw new Error(`${runs} runs were not admitted in ${COMPLETED_WITHIN_MS} ms`);
  } finally {
    await client.end();
  }
}

const COUNT_ADMITTED = 'SELECT count(*)::int AS admitted FROM processor.executions';

function simulatorOn(port: number, latencyMs: number): AppSpec {
  const env = { SIMULATOR_PORT: String(port), SIMULATOR_LATENCY_MS: String(latencyMs) };
  return { name: 'simulator', script: 'dev/simulator/main.js', env };
}
