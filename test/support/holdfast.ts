/**
 * Real: Postgres, Kafka, api and processors as processes of their own, the OpenAI SDK over HTTP. Stands in: the OpenAI simulator
 * for OpenAI. One scene per spec file: a migrated database and a topic prefix of its own.
 */
import { topicDefinitions } from '#libs/contracts';
import { createTopics, KafkaConnection, silentLog } from '#libs/messaging';
import { runToEnd, startApp } from './app-process.js';
import type { AppProcess } from './app-process.js';
import { freshDatabase, freshTopicPrefix, kafkaBrokers } from './stack.js';
import type { FreshDatabase } from './stack.js';

export interface SceneOptions {
  /** How many processors to begin with; default 1. */
  readonly processors?: number;
  /** How long the simulator works on one call; default 50. */
  readonly modelLatencyMs?: number;
  /** As whom the apps talk to Postgres; default: as the specs do. */
  readonly role?: { readonly name: string; readonly password: string };
  /** Where api and processors are built; default dist/. */
  readonly build?: string;
  /** Settings for api and processors, and for the step that makes the topics. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Scene {
  readonly apiUrl: string;
  /** Control routes below it: `/__sim/charges`, `/__sim/faults`, `/__sim/requests`. */
  readonly simulatorUrl: string;
  readonly database: FreshDatabase;
  readonly topicPrefix: string;
  readonly api: AppProcess;
  /** Those started so far, dead ones included. */
  readonly processors: readonly AppProcess[];
  /** One more, ready. */
  startProcessor(env?: Readonly<Record<string, string>>): Promise<AppProcess>;
  /** One more beside the first, ready. */
  startApi(env?: Readonly<Record<string, string>>): Promise<StartedApi>;
  /** Ends every process and drops the database. */
  close(): Promise<void>;
}

export interface StartedApi {
  readonly app: AppProcess;
  /** null: it paused before it was ready. */
  readonly url: string | null;
}

/** A group whose members stand still lets nobody in before their sessions have run out, one after the other. */
const startLimitMs = 90_000;

export async function openScene(options: SceneOptions = {}): Promise<Scene> {
  const database = await freshDatabase('migrated');
  const topicPrefix = freshTopicPrefix();
  const processors: AppProcess[] = [];
  const processes: AppProcess[] = [];
  const start = async (script: string, env: Readonly<Record<string, string>>, build?: string) => {
    const app = startApp({ script, env, ...(build !== undefined && { build }) });
    processes.push(app);
    const line = await app.line(/^(ready|paused): /, startLimitMs);
    return { app, url: line.startsWith('ready') ? urlIn(line) : null };
  };
  const close = async () => {
    await Promise.all(processes.map((app) => app.killHard())); // quick: what a spec wants drained it stops itself
    await database.drop();
  };
  try {
    const servers = {
      DATABASE_URL: asRole(database.url, options.role),
      KAFKA_BROKERS: kafkaBrokers().join(','),
      HOLDFAST_TOPIC_PREFIX: topicPrefix,
    };
    const [simulator] = await Promise.all([
      start('dev/simulator/main.js', {
        SIMULATOR_PORT: '0',
        SIMULATOR_LATENCY_MS: String(options.modelLatencyMs ?? 50),
      }),
      makeTopics(topicPrefix, { ...servers, ...options.env }),
    ]);
    const simulatorUrl = new URL(simulator.url!).origin;
    const env = {
      ...servers,
      OPENAI_BASE_URL: `${simulatorUrl}/v1`,
      OPENAI_API_KEY: 'sk-simulator',
      LOG_LEVEL: 'warn',
      ...options.env,
    };
    const startProcessor = async (more: Readonly<Record<string, string>> = {}) => {
      const script = 'apps/processor/src/main.js';
      const { app } = await start(script, { ...env, PROCESSOR_PORT: '0', ...more }, options.build);
      processors.push(app);
      return app;
    };
    const startApi = async (more: Readonly<Record<string, string>> = {}) => {
      const script = 'apps/api/src/main.js';
      const { app, url } = await start(script, { ...env, API_PORT: '0', ...more }, options.build);
      return { app, url: url === null ? null : new URL(url).origin };
    };
    const [api] = await Promise.all([
      startApi(),
      ...Array.from({ length: options.processors ?? 1 }, () => startProcessor()),
    ]);
    return {
      ...{ database, topicPrefix, processors, startProcessor, startApi, close, simulatorUrl },
      apiUrl: api.url!,
      api: api.app,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Here, which spares the start of a process; by the step itself where it has settings of its own. */
async function makeTopics(topicPrefix: string, env: Readonly<Record<string, string>>) {
  if (env.HOLDFAST_TOPIC_COPIES !== undefined)
    return runToEnd({ script: 'dev/stack/create-topics.js', env });
  const brokers = kafkaBrokers();
  const connection = { brokers, clientId: 'make-topics', topicPrefix, log: silentLog };
  return createTopics(new KafkaConnection(connection), topicDefinitions());
}

/** The address that a `ready:` line names first. */
function urlIn(readyLine: string): string {
  const url = /https?:\/\/[^\s,;]+/.exec(readyLine)?.[0];
  if (url === undefined) throw new Error(`No address in "${readyLine}"`);
  return url;
}

function asRole(databaseUrl: string, role: SceneOptions['role']): string {
  if (role === undefined) return databaseUrl;
  return Object.assign(new URL(databaseUrl), { username: role.name, password: role.password }).href;
}
