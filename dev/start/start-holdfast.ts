/**
 * Holdfast as a newcomer runs it: servers, schemas, topics, simulator, processor, api, each a process of its own. Used by
 * `npm start` and by the demo.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { choosePort } from '../stack/ports.js';
import type { PortWish } from '../stack/ports.js';
import type { Log } from '../stack/progress.js';
import { startStack } from '../stack/start-stack.js';
import type { Stack } from '../stack/start-stack.js';
import type { Supervisor } from '../stack/supervisor.js';
import { runApp, startApp } from './app-children.js';
import type { AppSpec, AppStarter } from './app-children.js';
import type { StartSettings } from './start-settings.js';

export interface StartOptions {
  readonly supervisor: Supervisor;
  readonly settings: StartSettings;
  readonly dataFolder: string;
  readonly logFolder: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface RunningHoldfast extends Stack {
  readonly apiUrl: string;
  /** What the processor calls: OpenAI's base URL, or the simulator's. */
  readonly openAiUrl: string;
  /** Where the simulator takes its orders; null where real OpenAI is called. */
  readonly simulatorUrl: string | null;
  /** Lets the apps drain. The supervisor's `close` ends the rest. */
  stopApps(): Promise<void>;
}

type Environment = Record<string, string>;

/** When it rejects, close the supervisor: it ends whatever was begun. */
export async function startHoldfast(options: StartOptions): Promise<RunningHoldfast> {
  const { settings, log, signal } = options;
  const { databaseUrl, kafkaBrokers } = settings;
  const ports = await takePorts(settings, log); // before anything is started: a busy one is said at once
  const stack = await startStack({
    ...{ supervisor: options.supervisor, log, signal, throwAway: false },
    ...{ dataFolder: options.dataFolder, logFolder: options.logFolder },
    given: { databaseUrl, kafkaBrokers },
    ports: settings.ports,
  });
  const servers = { DATABASE_URL: stack.databaseUrl, KAFKA_BROKERS: stack.kafkaBrokers };
  const [openAi] = await allSettledOrThrow([
    provideOpenAi(options, ports),
    prepare('api migrations', 'apps/api/src/migrate.js', options, servers),
    prepare('processor migrations', 'apps/processor/src/migrate.js', options, servers),
    prepare('topics', 'dev/stack/create-topics.js', options, servers),
  ]);
  const env = { ...servers, ...openAi.env };
  const [api, processor] = await allSettledOrThrow([
    startApp(options, app('api', { ...env, API_PORT: String(ports.api) })),
    startApp(options, app('processor', { ...env, PROCESSOR_PORT: String(ports.processor) })),
  ]);
  return {
    ...stack,
    apiUrl: `http://127.0.0.1:${ports.api}`,
    openAiUrl: openAi.env.OPENAI_BASE_URL,
    simulatorUrl: openAi.simulatorUrl,
    stopApps: async () => {
      await Promise.all([api.stop(), processor.stop()]);
    },
  };
}

interface OpenAi {
  readonly env: {
    readonly OPENAI_BASE_URL: string;
    readonly OPENAI_API_KEY?: string;
    readonly OPENAI_WEBHOOK_SECRET?: string;
  };
  readonly simulatorUrl: string | null;
}

async function provideOpenAi(
  options: StartOptions,
  ports: { readonly simulator: number; readonly processor: number },
): Promise<OpenAi> {
  const { provider } = options.settings;
  if (provider.kind === 'openai')
    return { env: { OPENAI_BASE_URL: provider.baseUrl }, simulatorUrl: null }; // key and secret are inherited
  const webhookSecret = `whsec_${randomBytes(24).toString('base64')}`;
  await startApp(options, {
    name: 'simulator',
    script: 'dev/simulator/main.js',
    env: {
      SIMULATOR_PORT: String(ports.simulator),
      SIMULATOR_DATA: join(options.dataFolder, 'simulator.json'),
      SIMULATOR_WEBHOOK_URL: `http://127.0.0.1:${ports.processor}/v1/openai/webhooks`,
      SIMULATOR_WEBHOOK_SECRET: webhookSecret,
    },
  });
  const url = `http://127.0.0.1:${ports.simulator}`;
  const env = {
    OPENAI_BASE_URL: `${url}/v1`,
    OPENAI_API_KEY: 'sk-simulator',
    OPENAI_WEBHOOK_SECRET: webhookSecret,
  };
  return { env, simulatorUrl: url };
}

function prepare(
  name: string,
  script: string,
  starter: AppStarter,
  env: Environment,
): Promise<void> {
  return runApp(starter, { name, script, env });
}

function app(name: 'api' | 'processor', env: Environment): AppSpec {
  return { name, script: `apps/${name}/src/main.js`, env };
}

async function takePorts({ ports, provider }: StartSettings, log: Log) {
  const simulator: PortWish = provider.kind === 'simulator' ? provider.port : { kind: 'any' };
  return {
    api: await takePort(ports.api, 'the api', log),
    processor: await takePort(ports.processor, 'the processor', log),
    simulator: await takePort(simulator, 'the OpenAI simulator', log),
  };
}

async function takePort(wish: PortWish, what: string, log: Log): Promise<number> {
  const chosen = await choosePort(wish, what);
  if (chosen.insteadOf !== null)
    log(`Port ${chosen.insteadOf} is busy: ${what} listens on ${chosen.port} instead`);
  return chosen.port;
}

/** Waits for all, so that nothing is still being started when the caller begins to clean up; then the first failure is thrown. */
async function allSettledOrThrow<const T extends readonly Promise<unknown>[]>(
  parts: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(parts);
  return Promise.all(parts);
}
