/**
 * `npm run bench:gateway [-- --calls 3000 --concurrent 64 --rate 150]`: what a model call costs besides the model. One process calls a
 * simulator without latency, in a process of its own, in four ways that build on each other: the bare SDK over Node's fetch, over our
 * own, the endpoint with its facts, the whole gateway with its ledger on a real Postgres that flushes to disk. Foreground calls: one
 * exchange each. First as many at once as `--concurrent` says, for the CPU of a call; then at `--rate` calls a second, for the time
 * that a call takes where nothing queues. In rounds, so that a busy moment of the machine meets all four; differences at the end.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { startApp } from '../dev/start/app-children.js';
import { listenForInterruption } from '../dev/stack/interruption.js';
import { choosePort } from '../dev/stack/ports.js';
import { startPostgres } from '../dev/stack/postgres-server.js';
import { Supervisor } from '../dev/stack/supervisor.js';
import {
  type ModelCallRequest,
  gatewayMigrations,
  OpenAiEndpoint,
  OpenAiGateway,
  WireFetch,
} from '../libs/openai-gateway/src/index.js';
import { Database, migrate } from '../libs/postgres/src/index.js';
import { numberAfter } from './number-after.js';
import { percentiles } from './percentiles.js';

const calls = numberAfter('--calls', 3_000);
const concurrent = numberAfter('--concurrent', 64);
const rate = numberAfter('--rate', 150);
const ROUNDS = 5;
const WARM_UP_CALLS = 300;

const prompt = {
  ...{ model: 'gpt-5.2', instructions: 'Answer in one sentence.', input: 'Why is the sky blue?' },
};
const body = { ...prompt, max_output_tokens: 400, background: false, store: false } as const;
const silent = () => undefined;
const silentLog = { debug: silent, info: silent, warn: silent, error: silent };

const log = (line: string) => console.log(line);
const signal = listenForInterruption(log);
const folder = await mkdtemp(join(tmpdir(), 'holdfast-gateway-'));
await chmod(folder, 0o711); // started by root, Postgres runs as another user, who must get in
const supervisor = await Supervisor.open(folder, log);
supervisor.removeInTheEnd(folder);
try {
  const [postgres, openai] = await Promise.all([
    choosePort({ kind: 'any' }, 'Postgres'),
    choosePort({ kind: 'any' }, 'OpenAI simulator'),
  ]);
  const url = await startPostgres({
    ...{ supervisor, port: postgres.port, throwAway: false, log, signal },
    ...{ folder: join(folder, 'postgres'), logFile: join(folder, 'postgres.log') },
  });
  await startApp(
    { supervisor, log, signal, logFolder: folder },
    {
      ...{ name: 'OpenAI simulator', script: 'dev/simulator/main.js' },
      env: { SIMULATOR_PORT: String(openai.port), SIMULATOR_LATENCY_MS: '0' },
    },
  );
  await measure(url, `http://127.0.0.1:${openai.port}/v1`);
} finally {
  await supervisor.close();
}
process.exit(0);

type Call = () => Promise<void>;

async function measure(databaseUrl: string, baseUrl: string): Promise<void> {
  await migrate({ url: databaseUrl, schema: 'processor', migrations: gatewayMigrations });
  const database = new Database({ url: databaseUrl, applicationName: 'bench', maxConnections: 10 });
  const apiKey = 'sk-bench';
  const wireFetch = new WireFetch();
  const endpoint = new OpenAiEndpoint({ baseUrl, apiKey });
  const gateway = new OpenAiGateway({ database, baseUrl, apiKey, log: silentLog });
  const sdk = (options = {}) =>
    bareSdk(new OpenAI({ apiKey, baseURL: baseUrl, maxRetries: 0, ...options }));
  const ways: Readonly<Record<string, Call>> = {
    'bare SDK, Node’s fetch': sdk(),
    'bare SDK, our fetch': sdk({ fetch: wireFetch.fetch }),
    endpoint: async () => {
      const { kind } = await endpoint.create(body, { timeoutMs: 60_000 });
      if (kind !== 'answered') throw new Error(`the endpoint got ${kind}`);
    },
    'whole gateway': () => throughGateway(gateway),
  };
  for (const call of Object.values(ways)) await atOnce(call, WARM_UP_CALLS);
  report(`${concurrent} at once`, await inRounds(ways, (call) => atOnce(call, calls / ROUNDS)));
  report(`${rate} a second`, await inRounds(ways, (call) => atRate(call, calls / ROUNDS / 4)));
  await gateway.close();
  await endpoint.close();
  await wireFetch.close();
  await database.close();
}

function bareSdk(client: OpenAI): Call {
  return async () => {
    const { status } = await client.responses.create(body);
    if (status !== 'completed') throw new Error(`the SDK got ${status}`);
  };
}

async function throughGateway(gateway: OpenAiGateway): Promise<void> {
  const request: ModelCallRequest = {
    ...{ ...prompt, tenant: 'default', priority: 'interactive', runId: randomUUID() },
    ...{ step: 0, item: 0, try: 0, maxOutputTokens: 400, mode: 'foreground' },
    ...{ callTimeoutMs: 60_000, whenUnknown: 'hold' },
    budget: { workflow: 'bench', runLimit: null, triesByPolicy: 5 },
  };
  const owner = { fence: 1n, signal: new AbortController().signal, isLeaseAlive: () => true };
  const { kind } = await gateway.callModel(request, owner);
  if (kind !== 'completed') throw new Error(`the gateway came to ${kind}`);
}

interface Measured {
  readonly tookMs: readonly number[];
  readonly cpuMs: number;
}

/** Each round measures every way once. */
async function inRounds(
  ways: Readonly<Record<string, Call>>,
  play: (call: Call) => Promise<number[]>,
): Promise<Readonly<Record<string, Measured>>> {
  const measured: Record<string, Measured> = {};
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [name, call] of Object.entries(ways)) {
      const before = process.cpuUsage();
      const tookMs = await play(call);
      const { user, system } = process.cpuUsage(before);
      const so = measured[name] ?? { tookMs: [], cpuMs: 0 };
      const cpuMs = so.cpuMs + (user + system) / 1_000;
      measured[name] = { tookMs: [...so.tookMs, ...tookMs], cpuMs };
    }
  return measured;
}

async function atOnce(call: Call, count: number): Promise<number[]> {
  const tookMs: number[] = [];
  let left = count;
  const worker = async () => {
    while (left-- > 0 && !signal.aborted) tookMs.push(await timed(call));
  };
  await Promise.all(Array.from({ length: concurrent }, worker));
  return tookMs;
}

/** At the rate, whatever a single call takes. */
async function atRate(call: Call, count: number): Promise<number[]> {
  const startedAtMs = performance.now();
  const running: Promise<number>[] = [];
  for (let sent = 0; sent < count && !signal.aborted; sent += 1) {
    await sleep(Math.max(0, startedAtMs + (sent / rate) * 1_000 - performance.now()));
    running.push(timed(call));
  }
  return Promise.all(running);
}

async function timed(call: Call): Promise<number> {
  const startedAtMs = performance.now();
  await call();
  return performance.now() - startedAtMs;
}

function report(how: string, measured: Readonly<Record<string, Measured>>): void {
  log(`\n${how}: milliseconds per call, and what it adds to the bare SDK over Node’s fetch`);
  const [bare] = Object.values(measured).map(numbersOf);
  for (const [name, each] of Object.entries(measured)) {
    const numbers = numbersOf(each);
    const cells = (['p50', 'p99', 'cpu'] as const).map((key) => {
      const added = numbers[key] - (bare?.[key] ?? NaN);
      return `${key} ${numbers[key].toFixed(2)} (${added < 0 ? '−' : '+'}${Math.abs(added).toFixed(2)})`;
    });
    log(`${name.padEnd(24)} ${cells.join(' · ')}`);
  }
}

function numbersOf({ tookMs, cpuMs }: Measured) {
  const { p50, p99 } = percentiles(tookMs);
  return { p50, p99, cpu: cpuMs / tookMs.length };
}
