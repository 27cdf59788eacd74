/**
 * The real api for one spec file: Nest application, Postgres of its own, topics of its own on the shared Kafka.
 * What a processor would publish is published by the spec.
 */
import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import kafkajs from 'kafkajs';
import type supertest from 'supertest';
import request from 'supertest';
import { topicDefinitions, topics } from '#libs/contracts';
import {
  createTopics,
  encodeMessage,
  KafkaConnection,
  silentLog,
  type Message,
} from '#libs/messaging';
import { Database } from '#libs/postgres';
import { createApi, startApi } from '../../../apps/api/src/create-api.js';
import { JsonLog } from '#libs/process';
import { parseSettings, type ApiSettings } from '../../../apps/api/src/settings.js';
import { freshDatabase, freshTopicPrefix, kafkaBrokers } from '../../support/stack.js';

export interface TestApi {
  readonly app: NestFastifyApplication;
  readonly settings: ApiSettings;
  readonly url: string;
  /** Postgres without what `through` put before it. */
  readonly directUrl: string;
  /** The api's own database, past the api. */
  readonly database: Database;
  /** What it logged at warn and above. */
  readonly logged: string[];
  http(): supertest.Agent;
  /** Puts messages on the events topic, as a processor's relay would. */
  publish(messages: readonly Message[]): Promise<void>;
  /** Puts a record there that is no message. */
  publishRaw(record: CommandRecord): Promise<void>;
  /** Puts records on the commands topic, as callers would. */
  command(records: readonly CommandRecord[]): Promise<void>;
  stop(): Promise<void>;
}

export interface CommandRecord {
  readonly key: string | null;
  readonly value: Buffer | string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `through` may put something between the api and its database. */
export async function startTestApi(
  env: Readonly<Record<string, string>> = {},
  through: (databaseUrl: string) => Promise<string> = (databaseUrl) => Promise.resolve(databaseUrl),
): Promise<TestApi> {
  const fresh = await freshDatabase('migrated');
  const settings = settingsOf({
    DATABASE_URL: await through(fresh.url),
    KAFKA_BROKERS: kafkaBrokers().join(','),
    HOLDFAST_TOPIC_PREFIX: freshTopicPrefix(),
    API_PORT: '0',
    API_DRAIN_MS: '2000',
    ...env,
  });
  const kafka = kafkaConnectionFor(settings);
  const used: readonly string[] = [
    ...[topics.runCommands, topics.runCommandsDeadLetters],
    ...[topics.runRequested, topics.runEvents],
  ];
  await createTopics(
    kafka,
    topicDefinitions(2).filter(({ name }) => used.includes(name)),
  );

  const logged: string[] = [];
  const log = new JsonLog('warn', (line) => logged.push(line));
  const app = await createApi(settings, log, (error) => logged.push(`fatal: ${error.message}`));
  const url = await startApi(app, settings);
  const database = new Database({ url: fresh.url, applicationName: 'api.spec' });
  const producer = new kafkajs.Kafka({
    brokers: [...settings.kafkaBrokers],
    logLevel: kafkajs.logLevel.NOTHING,
  }).producer();
  await producer.connect();
  const topic = kafka.topicName(topics.runEvents);

  return {
    app,
    settings,
    url,
    directUrl: fresh.url,
    database,
    logged,
    http: () => request.agent(app.getHttpServer()),
    publish: async (messages) => {
      const encoded = messages.map((message) => encodeMessage(message));
      await producer.send({
        topic,
        messages: encoded.map(({ key, value, headers }) => ({ key, value, headers })),
      });
    },
    publishRaw: async ({ key, value, headers }) => {
      await producer.send({ topic, messages: [{ key, value, headers: { ...headers } }] });
    },
    command: async (records) => {
      const messages = records.map((record) => ({ ...record, headers: { ...record.headers } }));
      await producer.send({ topic: kafka.topicName(topics.runCommands), messages });
    },
    stop: async () => {
      await producer.disconnect();
      await app.close();
      await database.close();
      await fresh.drop();
    },
  };
}

export interface Replica {
  readonly app: NestFastifyApplication;
  readonly url: string;
  stop(): Promise<void>;
}

/** A second api beside the first, on the same database and topics, as behind a load balancer. */
export async function startReplicaOf({ settings, logged }: TestApi): Promise<Replica> {
  const log = new JsonLog('warn', (line) => logged.push(line));
  const app = await createApi(settings, log, (error) => logged.push(`fatal: ${error.message}`));
  const url = await startApi(app, settings);
  return { app, url, stop: () => app.close() };
}

/** For a spec that consumes what the api publishes. */
export function kafkaConnectionFor(settings: ApiSettings): KafkaConnection {
  return new KafkaConnection({
    brokers: settings.kafkaBrokers,
    clientId: 'api.spec',
    topicPrefix: settings.topicPrefix,
    log: silentLog,
  });
}

function settingsOf(env: Record<string, string>): ApiSettings {
  const parsed = parseSettings(env);
  if (parsed.kind === 'settings') return parsed.settings;
  throw new Error(parsed.problems.map(({ name, reason }) => `${name} ${reason}`).join('; '));
}
