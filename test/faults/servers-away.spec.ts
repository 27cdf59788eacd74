/**
 * Kafka and Postgres struck dead under load: started again at once, and a minute later. Real: all of it, with a Kafka and a
 * Postgres of this file's own. Stands in: the simulator for OpenAI, with its bill.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openOwnServers, type OwnServers } from '../support/own-servers.js';
import { openFlow, type Flow } from '../support/flow.js';
import { originOf, readinessOnce, type Readiness } from '../support/readiness.js';
import type { Restartable } from '../support/restartable.js';
import { startServers, type Servers } from '../support/servers.js';
import {
  askAll,
  expectAllUp,
  expectUnbroken,
  untilAccepted,
  untilAtRest,
} from '../support/unbroken.js';

const runs = 100;
const awayMs = 60_000;

let servers: OwnServers<Servers>;
let flow: Flow;
let accepted = 0;
/** Of the api and of one processor. */
let origins: { readonly api: string; readonly processor: string };

beforeAll(async () => {
  servers = await openOwnServers(startServers);
  flow = await openFlow({ processors: 2 });
  origins = { api: flow.scene.apiUrl, processor: await originOf(flow.scene.processors[0]!) };
}, 150_000);
afterAll(async () => {
  await flow?.close();
  await servers?.close();
}, 60_000);

/** Asks, and resolves once a part of it is accepted: what it resolves with are the ids of all. */
async function underLoad(name: string, withinMs?: number): Promise<{ asked: Promise<string[]> }> {
  const questions = Array.from({ length: runs }, (_, number) => `${name}, question ${number}?`);
  const asked = askAll(flow, questions, withinMs);
  await untilAccepted(flow, accepted + runs / 4);
  accepted += runs;
  return { asked };
}

async function expectHealed(asked: Promise<string[]>): Promise<void> {
  const ids = await asked;
  await untilAtRest(flow, 90_000);
  await expectUnbroken(flow, ids);
  expectAllUp(flow);
}

const server: Readonly<Record<'Kafka' | 'Postgres', () => Restartable>> = {
  Kafka: () => servers.kafka,
  Postgres: () => servers.postgres,
};

it.each(['Kafka', 'Postgres'] as const)(
  '%s dies under load and comes back at once: nothing is lost, nothing is done twice',
  async (name) => {
    const { asked } = await underLoad(`${name} restarts`);
    await server[name]().restart();
    await expectHealed(asked);
  },
  150_000,
);

it('Kafka away for a minute under load: runs are accepted, each process says why it is degraded, and all heals alone', async () => {
  const { asked } = await underLoad('Kafka is away');
  const { back } = await awayForAMinute(servers.kafka);
  const meanwhile = await askAll(flow, ['Who takes this?', 'And this?']); // 202 as ever
  accepted += meanwhile.length;
  const silent = /^Kafka has not answered for \d+ s: nothing new comes in|no assignment|left its/;
  const waiting = /^messages are not published, the oldest for \d+ s: |^the oldest message has/;
  const told: readonly Promise<Readiness>[] = [
    readinessOnce(origins.api, 'kafka', 'degraded', silent),
    readinessOnce(origins.api, 'outbox', 'degraded', waiting),
    readinessOnce(origins.processor, 'work', 'degraded', silent),
    readinessOnce(origins.processor, 'retries', 'degraded', silent),
  ];
  for (const { http } of await Promise.all(told)) expect(http).toBe(200);
  await back;
  await expectHealed(asked.then((ids) => [...ids, ...meanwhile]));
  await Promise.all([
    readinessOnce(origins.api, 'kafka', 'up'),
    readinessOnce(origins.processor, 'work', 'up'),
  ]);
}, 240_000);

it('Postgres away for a minute under load: nothing is accepted that is not stored, each process says why it is down, and all heals alone', async () => {
  const { asked } = await underLoad('Postgres is away', 120_000);
  const { back } = await awayForAMinute(servers.postgres);
  const gone = /^does not answer: /;
  for (const origin of Object.values(origins)) {
    const { http, details } = await readinessOnce(origin, 'postgres', 'down', gone);
    expect([http, details['content']?.status]).toEqual([503, 'down']);
  }
  const refused = await flow.runs.submit({ workflow: 'answer', input: { question: 'Now?' } });
  expect(refused).toMatchObject({ status: 503, body: { retryable: true } });
  await back;
  await expectHealed(asked);
  for (const origin of Object.values(origins)) await readinessOnce(origin, 'postgres', 'up');
}, 240_000);

/** Resolves when it is gone; `back` when it takes work again. */
async function awayForAMinute(away: Restartable): Promise<{ readonly back: Promise<unknown> }> {
  await away.stop();
  return { back: sleep(awayMs).then(() => away.start()) };
}
