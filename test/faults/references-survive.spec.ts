/**
 * Postgres struck dead before, between and after the commits of a content and of the reference to it, again and again: no reference
 * that is there lacks its content (content-store.ts, C8). Real: the api with its stores, Kafka, and a Postgres of this file's own
 * that drops what it has not written (an immediate stop: no process of it says goodbye).
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ContentStore } from '#libs/content';
import { startTestApi, type TestApi } from '../integration/api/api-fixture.js';
import { eventually } from '../support/eventually.js';
import { openOwnServers, type OwnServers, type ServerAddresses } from '../support/own-servers.js';
import type { Restartable } from '../support/restartable.js';
import { postgresIn } from '../support/servers.js';

const callers = 24;
const strikes = 20;
/** Long enough for batches to be under way, and never the same moment of one. */
const strikeAfterMs = () => 150 + Math.random() * 150;

let servers: OwnServers<ServerAddresses & { readonly postgres: Restartable }>;
let api: TestApi;
beforeAll(async () => {
  servers = await openOwnServers(async (place) => {
    const postgres = await postgresIn(place);
    const kafkaBrokers = process.env.HOLDFAST_TEST_KAFKA ?? '';
    return { postgres, databaseUrl: await postgres.start(), kafkaBrokers };
  });
  api = await startTestApi({ API_MAX_UNFINISHED_RUNS: '0' });
}, 120_000);
afterAll(async () => {
  await api?.stop();
  await servers?.close();
}, 60_000);

it('what a put has answered with is there, though Postgres dies at once', async () => {
  const contents = new ContentStore(api.database);
  for (let strike = 0; strike < 3; strike += 1) {
    const { ref } = await contents.put('t', Buffer.from(randomUUID()), { mediaType: 'text/plain' });
    await servers.postgres.restart();
    await answers();
    expect(await contents.describe('t', [ref])).toHaveLength(1);
  }
}, 60_000);

it(`struck dead ${strikes} times among submits: each run that is there has its input, and each that was accepted is there`, async () => {
  const accepted = new Set<string>();
  const ending = new AbortController();
  const calling = Promise.all(
    Array.from({ length: callers }, () => submitUntil(ending.signal, accepted)),
  );
  for (let strike = 0; strike < strikes; strike += 1) {
    const before = accepted.size;
    await eventually('runs are accepted', () => accepted.size > before);
    await sleep(strikeAfterMs());
    await servers.postgres.restart();
    await answers();
    await expectInputs();
  }
  ending.abort();
  await calling;
  const { rows } = await api.database.query<{ id: string }>('SELECT id FROM api.runs');
  const there = new Set(rows.map(({ id }) => `run_${id}`));
  expect([...accepted].filter((id) => !there.has(id))).toEqual([]);
  expect(accepted.size).toBeGreaterThan(strikes * callers);
}, 300_000);

/** Each with an input of its own. What is not accepted is asked for no more: the next is another. */
async function submitUntil(signal: AbortSignal, accepted: Set<string>): Promise<void> {
  while (!signal.aborted) {
    const answer = await fetch(`${api.url}/v1/runs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': randomUUID() },
      body: JSON.stringify({ workflow: 'answer', input: { question: randomUUID() } }),
      signal: AbortSignal.timeout(20_000),
    });
    const body = (await answer.json()) as { id: string };
    if (answer.status === 202) accepted.add(body.id);
    else await sleep(50); // Postgres is away
  }
}

/** Runs whose input is not there, found in one statement, so that no later put can hide one. */
async function expectInputs(): Promise<void> {
  const { rows } = await api.database.query(
    `SELECT id FROM api.runs r WHERE NOT EXISTS (
       SELECT FROM content.contents c WHERE c.tenant = r.tenant AND r.input_ref = 'cnt_' || rtrim(translate(encode(c.digest, 'base64'), '+/', '-_'), '='))`,
  );
  expect(rows).toEqual([]);
}

async function answers(): Promise<void> {
  await eventually('Postgres answers', () =>
    api.database.query('SELECT 1').then(
      () => true,
      () => false,
    ),
  );
}
