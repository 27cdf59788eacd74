/** Real: api, Postgres, Kafka. Stands in: a TCP proxy before Postgres that can be taken away. */
import { randomUUID } from 'node:crypto';
import { FaultyNetwork } from '../postgres/faulty-network.js';
import { until } from '../postgres/until.js';
import { startTestApi, type TestApi } from './api-fixture.js';
import { openStream, take } from './event-stream.js';
import { storyOf } from './run-story.js';
import type { RunView } from '#libs/contracts';

let api: TestApi;
let network: FaultyNetwork;

beforeAll(async () => {
  api = await startTestApi({}, async (url) => {
    network = await FaultyNetwork.before(url);
    return network.url;
  });
});
afterAll(async () => {
  await api?.stop();
  await network?.close();
});

const submit = (key: string) =>
  api
    .http()
    .post('/v1/runs')
    .set('Idempotency-Key', key)
    .send({ workflow: 'answer', input: { question: 'Why?' } });

it('is alive, ready and started while all is well, and says how it stands', async () => {
  await api.http().get('/livez').expect(200);
  await api.http().get('/startupz').expect(200);
  const ready = await api.http().get('/readyz').expect(200);
  expect(ready.body).toMatchObject({
    status: 'ok',
    details: {
      postgres: { status: 'up' },
      content: { status: 'up' },
      kafka: { status: 'up' },
      outbox: { status: 'up' },
    },
  });
});

it('a lost answer to COMMIT still makes one run, taken as accepted', async () => {
  network.loseNextAnswerTo('COMMIT', 'api.accept-runs.insert');
  const key = randomUUID();
  const answer = await submit(key).expect(202);
  expect(answer.headers['idempotency-replayed']).toBeUndefined();
  const { rows } = await api.database.query('SELECT id FROM api.runs WHERE idempotency_key = $1', [
    key,
  ]);
  expect(rows).toHaveLength(1);
});

it('Postgres away: 503 with when to come back, not ready but alive; it heals, and streams go on', async () => {
  const { id } = (await submit(randomUUID())).body as RunView;
  const frames = take(await openStream(`${api.url}/v1/runs/${id}/events`));

  const { port, url } = network;
  await network.close();
  const key = randomUUID();
  const refused = await submit(key).expect(503);
  expect(refused.headers['retry-after']).toBe('2');
  expect(refused.body).toMatchObject({ code: 'database_unavailable', retryable: true });
  expect(refused.text).not.toContain('ECONNREFUSED');
  const ready = await api.http().get('/readyz').expect(503);
  expect(ready.body).toMatchObject({ status: 'error', error: { postgres: { status: 'down' } } });
  await api.http().get('/livez').expect(200);
  await api.publish(storyOf(id.slice('run_'.length)));

  network = await FaultyNetwork.before(api.directUrl, port);
  expect(network.url).toBe(url);
  await until(async () => (await api.http().get('/readyz')).status === 200);
  expect((await frames).map((frame) => frame.id)).toEqual(['1', '2', '3', '4', '5', '6', '7']);
  await submit(key).expect(202);
});
