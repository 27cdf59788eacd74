/** What the environment says about where Holdfast runs and what it talks to. Pure: no port is opened to find out. */
import { portWish } from '../stack/ports.js';
import type { PortWish } from '../stack/ports.js';

export interface StartSettings {
  /** Servers of one's own; what is missing is started here. */
  readonly databaseUrl?: string;
  readonly kafkaBrokers?: string;
  readonly provider: Provider;
  readonly ports: Readonly<Record<'postgres' | 'kafka' | 'api' | 'processor', PortWish>>;
}

export type Provider =
  | { readonly kind: 'simulator'; readonly port: PortWish }
  | { readonly kind: 'openai'; readonly baseUrl: string };

const openAiUrl = 'https://api.openai.com/v1';

export function parseStartSettings(env: NodeJS.ProcessEnv): StartSettings {
  const port = (setting: string, usual: number) => portWish(env[setting], setting, usual);
  return {
    ...(env.DATABASE_URL ? { databaseUrl: env.DATABASE_URL } : {}),
    ...(env.KAFKA_BROKERS ? { kafkaBrokers: env.KAFKA_BROKERS } : {}),
    provider: env.OPENAI_API_KEY
      ? { kind: 'openai', baseUrl: env.OPENAI_BASE_URL || openAiUrl }
      : { kind: 'simulator', port: port('SIMULATOR_PORT', 3900) },
    ports: {
      postgres: port('POSTGRES_PORT', 54320),
      kafka: port('KAFKA_PORT', 19092),
      api: port('API_PORT', 3000),
      processor: port('PROCESSOR_PORT', 3001),
    },
  };
}

/** A server's address as it may be shown: never with a password. */
export function withoutPassword(url: string): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  shown.search = '';
  return shown.href;
}

export interface WhatItTalksTo {
  readonly apiUrl: string;
  readonly databaseUrl: string;
  readonly kafkaBrokers: string;
  readonly openAiUrl: string;
  readonly logFolder: string;
}

/** The start line. */
export function describeStart(settings: StartSettings, talks: WhatItTalksTo): string {
  const whose = (given: string | undefined) => (given === undefined ? 'embedded' : 'yours');
  const openAi =
    settings.provider.kind === 'simulator'
      ? `OpenAI simulator ${talks.openAiUrl} (OPENAI_API_KEY is not set)`
      : `OpenAI ${withoutPassword(talks.openAiUrl)} (your key: calls cost money)`;
  return [
    `ready: Holdfast's API is ${talks.apiUrl}`,
    `Postgres ${withoutPassword(talks.databaseUrl)} (${whose(settings.databaseUrl)})`,
    `Kafka ${talks.kafkaBrokers} (${whose(settings.kafkaBrokers)})`,
    openAi,
    `logs in ${talks.logFolder}`,
  ].join(' · ');
}
