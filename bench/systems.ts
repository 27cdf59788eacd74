/** What is measured, each system as its processes and the way a caller speaks to it. */
import type { KafkaMessage } from 'kafkajs';
import type { AppSpec } from '../dev/start/app-children.js';
import type { Submission } from './load.js';

export interface BenchServers {
  readonly databaseUrl: string;
  readonly kafkaBrokers: string;
  /** With `/v1`. */
  readonly openAiUrl: string;
}

export interface System {
  readonly name: string;
  /** Run to their end, in order, before the apps start. */
  readonly preparations: (servers: BenchServers) => readonly AppSpec[];
  readonly apps: (servers: BenchServers, port: number) => readonly AppSpec[];
  readonly submissionOf: (key: string) => Submission;
  /** Where completions are published, and the key of one; null for any other message. */
  readonly completedTopic: string;
  readonly completedKeyOf: (message: KafkaMessage) => string | null;
}

/** 500 bytes, as in the peers' measurements; no two runs ask the same. */
const questionOf = (key: string) =>
  `${key}: ${'What must a supplier show? '.repeat(19)}`.slice(0, 500);

const holdfast = (workflow: string, name: string): System => ({
  name,
  preparations: (servers) => [
    { name: 'api migrations', script: 'apps/api/src/migrate.js', env: envOf(servers) },
    { name: 'processor migrations', script: 'apps/processor/src/migrate.js', env: envOf(servers) },
    { name: 'topics', script: 'dev/stack/create-topics.js', env: envOf(servers) },
  ],
  apps: (servers, port) => [
    {
      name: 'api',
      script: 'apps/api/src/main.js',
      env: { ...envOf(servers), API_PORT: String(port), API_MAX_UNFINISHED_RUNS: '0' },
    },
    {
      name: 'worker',
      script: 'apps/processor/src/main.js',
      env: { ...envOf(servers), PROCESSOR_PORT: '0', PROCESSOR_RUN_SLOTS: '256' },
    },
  ],
  submissionOf: (key) => ({
    path: '/v1/runs',
    headers: { 'idempotency-key': key },
    body: { workflow, input: { question: questionOf(key) }, reference: key },
  }),
  completedTopic: 'holdfast.run.events.v1',
  completedKeyOf: ({ headers, value }) => {
    if (headers?.ce_type?.toString() !== 'dev.holdfast.run.completed.v1') return null;
    return (JSON.parse(String(value)) as { reference: string }).reference;
  },
});

/** The lane that peers are compared in: one open request per call. */
export const holdfastForeground = holdfast('quick-answer', 'Holdfast');
/** The default lane: OpenAI's background mode, where the first poll comes after a second. */
export const holdfastBackground = holdfast('answer', 'Holdfast, background lane');

export const baseline: System = {
  name: 'plain NestJS + kafkajs',
  preparations: (servers) => [
    { name: 'topics', script: 'bench/baseline/create-topics.js', env: envOf(servers) },
  ],
  apps: (servers, port) => [
    {
      name: 'api',
      script: 'bench/baseline/api.js',
      env: { ...envOf(servers), API_PORT: String(port) },
    },
    { name: 'worker', script: 'bench/baseline/worker.js', env: envOf(servers) },
  ],
  submissionOf: (key) => ({ path: '/runs', headers: {}, body: { key, question: questionOf(key) } }),
  completedTopic: 'bench.completed',
  completedKeyOf: ({ key }) => String(key),
};

function envOf({ databaseUrl, kafkaBrokers, openAiUrl }: BenchServers): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: kafkaBrokers,
    OPENAI_BASE_URL: openAiUrl,
    OPENAI_API_KEY: 'sk-simulator',
    LOG_LEVEL: 'warn',
    NODE_ENV: 'production',
  };
}
