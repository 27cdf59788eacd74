/**
 * What the api asks about, and when. Real: api, Postgres, Kafka. Stands in: the processor, whose events the spec writes; time, which
 * the spec moves on in the rows. The api's own reconciler looks every five minutes here: the rounds are the spec's.
 */
import { randomUUID } from 'node:crypto';
import {
  isRepeated,
  repeatHeaders,
  REQUEST_UNREADABLE,
  topics,
  workHeaders,
  type RunView,
} from '#libs/contracts';
import { Consumer, silentLog, type Message, type ReceivedMessage } from '#libs/messaging';
import { uuidv7 } from '#libs/postgres';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { Reconciler } from '../../../apps/api/src/reconcile-runs/reconciler.js';
import { eventually } from '../../support/eventually.js';
import { kafkaConnectionFor, startTestApi, type TestApi } from './api-fixture.js';
import { received, storyOf } from './run-story.js';

/** Of a request; other states have multiples of it. */
const silenceHours = 1;

let api: TestApi;
let reader: Consumer;
let reconciler: Reconciler;
const sent: ReceivedMessage[] = [];
beforeAll(async () => {
  api = await startTestApi({ API_SILENCE_MS: String(silenceHours * 3_600_000) });
  reconciler = api.app.get(Reconciler);
  reader = new Consumer({
    kafka: kafkaConnectionFor(api.settings),
    ...{ groupId: 'spec', topics: [topics.runRequested], log: silentLog },
    onCrash: (error) => {
      throw error;
    },
    handler: async (decoded) => {
      if (decoded.kind === 'message') sent.push(decoded.message);
    },
  });
  await reader.start();
});
afterAll(async () => {
  await reader?.stop({ graceMs: 1_000 });
  await api?.stop();
});
beforeEach(() => api.database.query('TRUNCATE api.runs, api.decisions, api.parked_events'));

async function accepted(fields: object = {}): Promise<string> {
  const body = { workflow: 'answer', input: { question: 'Why?' }, ...fields };
  const submit = api.http().post('/v1/runs').set('Idempotency-Key', randomUUID()).send(body);
  const { id } = (await submit.expect(202)).body as RunView;
  await sentOf(id, 1);
  return id;
}

/** What lies on the topic of the run, once so many are there. */
async function sentOf(id: string, count: number): Promise<readonly ReceivedMessage[]> {
  const own = () => sent.filter(({ key }) => key === id);
  await eventually(`${count} messages of ${id}`, () => own().length >= count);
  return own();
}

/** As if so many hours had gone by for all that is known of it. */
async function passHours(id: string, hours: number): Promise<void> {
  const [ago] = [`make_interval(hours => ${hours})`];
  await api.database.query(
    `UPDATE api.runs SET moved_at = moved_at - ${ago}, asked_at = asked_at - ${ago},
       next_attempt_at = next_attempt_at - ${ago} WHERE id = $1`,
    [id.slice(4)],
  );
  await api.database.query(
    `UPDATE api.decisions SET decided_at = decided_at - ${ago}, asked_at = asked_at - ${ago} WHERE run_id = $1`,
    [id.slice(4)],
  );
}

/** A message of the run that the relay does not bring to Kafka. */
async function holdBack(id: string): Promise<void> {
  await api.database.query(
    `INSERT INTO api.outbox (topic, key, headers, body, size_bytes, parked_at, parked_reason)
     VALUES ('holdfast.run.requested.v1', $1, '{}', '{}', 2, now(), 'by hand')`,
    [id],
  );
}

const tell = (message: Message, headers: Readonly<Record<string, string>> = {}) =>
  api.app.get(ProjectRuns).take({ ...received(message), headers });
const repeated = { [repeatHeaders.repeated]: '1' };

async function viewOf(id: string): Promise<RunView> {
  return (await api.http().get(`/v1/runs/${id}`).expect(200)).body as RunView;
}

async function counted(what: string): Promise<number> {
  const { text } = await api.http().get('/metrics').expect(200);
  const line = text.split('\n').find((each) => each.startsWith(`holdfast_${what} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

async function readiness() {
  const answer = await api.http().get('/readyz');
  const { status } = answer;
  const { details } = answer.body as {
    details: Record<string, { message?: string; stuck?: number }>;
  };
  return { status, runs: details['runs'] };
}

describe('a request of which nothing is heard', () => {
  it('is sent again after its silence: the same request, with the same dispatch', async () => {
    const id = await accepted({
      reference: 'tender 42',
      labels: { team: 'north' },
      deadline: 'PT9H',
    });
    expect(await reconciler.round()).toBe(0);
    await passHours(id, silenceHours);
    expect(await reconciler.round()).toBe(1);
    const [first, again, ...more] = await sentOf(id, 2);
    expect(more).toEqual([]);
    expect(again).toMatchObject({ type: first!.type, key: id, data: first!.data });
    expect(again!.id).not.toBe(first!.id);
    expect(again!.headers).toMatchObject({
      [workHeaders.dispatch]: '1',
      [repeatHeaders.reemission]: '0',
    });
    expect(first!.headers).not.toHaveProperty(repeatHeaders.reemission);
  });

  it('is sent again in growing pauses, for a week', async () => {
    const id = await accepted();
    const askedAtHour: number[] = [];
    for (let hour = 1; hour <= 240; hour++) {
      await passHours(id, 1);
      if ((await reconciler.round()) > 0) askedAtHour.push(hour);
    }
    expect(askedAtHour).toEqual([1, 3, 7, 15, 31, 55, 79, 103, 127, 151]);
  });

  it('is not sent again while something of its run is still in the outbox', async () => {
    const id = await accepted();
    await passHours(id, 2);
    await holdBack(id);
    expect(await reconciler.round()).toBe(0);
    await api.database.query('DELETE FROM api.outbox');
    expect(await reconciler.round()).toBe(1);
  });

  it('is not sent again while the outbox stands still', async () => {
    const id = await accepted();
    await passHours(id, 2);
    await api.database.query(
      `UPDATE api.leases SET holder = 'gone', epoch = epoch + 1, until = now() + interval '1 h' WHERE name = 'outbox-relay'`,
    );
    await api.database.query(
      `INSERT INTO api.outbox (topic, key, headers, body, size_bytes, appended_at)
       VALUES ('holdfast.run.requested.v1', 'run_x', '{}', '{}', 2, now() - interval '6 s')`,
    );
    expect(await reconciler.round()).toBe(0);
    await api.database.query(`UPDATE api.leases SET until = now() WHERE holder = 'gone'`);
    await eventually('the relay is back', async () => {
      const { rows } = await api.database.query('SELECT FROM api.outbox');
      return rows.length === 0;
    });
    expect(await reconciler.round()).toBe(1);
  });
});

describe('a run that waits as it should', () => {
  it('is left alone: for a slot, a person, its next try; and once it has ended', async () => {
    const [queued, , , retrying, , , completed] = storyOf(randomUUID());
    const states: readonly [message: Message, hours: number][] = [
      [queued!, 4],
      [{ ...retrying!, data: { ...(retrying!.data as object), nextAttemptAt: inHours(30) } }, 29],
      [completed!, 9_000],
    ];
    for (const [message, hours] of states) {
      const id = await accepted();
      const data = { ...(message.data as object), runId: id, version: 1 };
      await tell({ ...message, key: id, subject: id, data });
      await passHours(id, hours);
      expect(await reconciler.round()).toBe(0);
    }
  });

  it('among a thousand is asked about in small bites, and each once', async () => {
    await insertQueued(1_000, 4.9);
    for (let round = 0; round < 3; round++) expect(await reconciler.round()).toBe(0);
    await api.database.query(`UPDATE api.runs SET moved_at = moved_at - interval '1 h'`);
    const asked: number[] = [];
    for (let round = 0; round < 12; round++) asked.push(await reconciler.round());
    expect(asked.filter((each) => each > 0)).toEqual(Array(10).fill(100));
    const { rows } = await api.database.query<{ asks: number; runs: bigint }>(
      'SELECT asks, count(*) AS runs FROM api.runs GROUP BY asks',
    );
    expect(rows).toEqual([{ asks: 1, runs: 1_000n }]);
  });
});

describe('the answer to a question', () => {
  it('repairs a view whose events were lost, at once, and is counted', async () => {
    const id = await accepted();
    const story = storyOf(id.slice(4));
    await tell(story[0]!);
    const repairs = await counted('repairs_total{what="event"}');
    await tell(story[6]!, repeated);
    expect(await viewOf(id)).toMatchObject({ status: 'completed', version: 7 });
    await tell(story[6]!, repeated);
    expect(await counted('repairs_total{what="event"}')).toBe(repairs + 1);
    await tell(story[3]!); // it was not lost but late
    expect(await viewOf(id)).toMatchObject({ status: 'completed', version: 7 });
    expect(await counted('repairs_total{what="event"}')).toBe(repairs + 1);
  });

  it('that says nothing new is no repair, and the run is not stuck', async () => {
    const id = await accepted();
    const [queued, started] = storyOf(id.slice(4));
    await tell(queued!);
    await tell(started!);
    const repairs = await counted('repairs_total{what="event"}');
    await passHours(id, 3);
    expect(await reconciler.round()).toBe(1);
    await passHours(id, 1);
    expect(await readiness()).toEqual({
      status: 200,
      runs: {
        ...{ status: 'degraded', stuck: 1 },
        message: expect.stringMatching(
          `^nothing is heard of 1 run, of ${id} for 1440\\d s$`,
        ) as string,
      },
    });
    await tell(started!, repeated);
    expect(await counted('repairs_total{what="event"}')).toBe(repairs);
    expect(await readiness()).toEqual({ status: 200, runs: { status: 'up', stuck: 0 } });
  });

  it('that is older than the view confirms nothing: the two disagree, and that shows', async () => {
    const id = await accepted();
    const [queued, started, progressed] = storyOf(id.slice(4));
    await tell(queued!);
    await tell(started!);
    await passHours(id, 3);
    await reconciler.round();
    await tell(queued!, repeated);
    await passHours(id, 1);
    expect((await readiness()).runs).toMatchObject({ stuck: 1 });
    await tell(progressed!); // it goes on by itself: the silence is over, and with it what was asked
    expect((await readiness()).runs).toMatchObject({ stuck: 0 });
    await passHours(id, 1);
    expect(await reconciler.round()).toBe(0);
    await passHours(id, 1);
    expect(await reconciler.round()).toBe(1);
  });
});

describe('a decision without an answer', () => {
  it.each([
    ['cancel', {}],
    ['complete', { result: { answer: 'Because.', refused: false }, reason: 'known' }],
  ])('is sent again, %s: the same decision, in growing pauses', async (decision, body) => {
    const id = await accepted();
    const review = reviewOf(id);
    await tell(review);
    await api.http().post(`/v1/runs/${id}/${decision}`).send(body).expect(202);
    expect(await reconciler.round()).toBe(0);
    await passHours(id, 1);
    expect(await reconciler.round()).toBe(1);
    const [, first, again] = await sentOf(id, 3);
    expect(again).toMatchObject({ type: first!.type, key: id, data: first!.data });
    expect(again!.headers).toMatchObject({ [repeatHeaders.reemission]: '1' });
    await passHours(id, 1);
    expect(await reconciler.round()).toBe(0);
    await passHours(id, 1);
    expect(await reconciler.round()).toBe(1);
  });

  it('is not sent again while something of its run is still in the outbox', async () => {
    const id = await accepted();
    await tell(reviewOf(id));
    await api.http().post(`/v1/runs/${id}/cancel`).expect(202);
    await sentOf(id, 2);
    await passHours(id, 2);
    await holdBack(id);
    expect(await reconciler.round()).toBe(0);
    await api.database.query('DELETE FROM api.outbox');
    expect(await reconciler.round()).toBe(1);
  });

  it('is not sent again any more after a week', async () => {
    const id = await accepted();
    await tell(reviewOf(id));
    await api.http().post(`/v1/runs/${id}/cancel`).expect(202);
    await passHours(id, 7 * 24 + 1);
    expect(await reconciler.round()).toBe(0);
  });

  it('that sends on a run whose request could not be read lies behind that request', async () => {
    const id = await accepted();
    const review = reviewOf(id);
    const data = review.data as { failure: object };
    const failure = { ...data.failure, code: REQUEST_UNREADABLE };
    await tell({ ...review, data: { ...data, failure } });
    await api.http().post(`/v1/runs/${id}/redrive`).send({}).expect(202);
    const [first, again, redrive] = await sentOf(id, 3);
    expect(again).toMatchObject({ type: first!.type, data: first!.data });
    expect(redrive!.type).toBe('dev.holdfast.run.redrive-requested.v1');
  });

  it('whose answer was lost takes it when it is repeated, behind what it did, too', async () => {
    const id = await accepted();
    await tell(reviewOf(id));
    const receipt = await api.http().post(`/v1/runs/${id}/cancel`).expect(202);
    const { decisionId } = receipt.body as { decisionId: string };
    const [, , , , , , last] = storyOf(id.slice(4));
    const base = { ...(last!.data as object), runId: id };
    const ended = { ...base, version: 3, status: 'cancelled' };
    await tell(
      { ...last!, id: uuidv7(), type: 'dev.holdfast.run.cancelled.v1', data: ended },
      repeated,
    );
    expect(await viewOf(id)).toMatchObject({ status: 'cancelled', cancelling: true });
    const data = { ...base, version: 2, status: 'needs_review', decisionId, decision: 'cancel' };
    const type = 'dev.holdfast.run.decision-applied.v1';
    const repairs = await counted('repairs_total{what="answer"}');
    const decisions = await counted('decisions_total{decision="cancel",outcome="applied"}');
    for (let again = 0; again < 2; again++) {
      await tell({ ...last!, id: 'the-answer', type, data }, repeated);
    }
    expect(await viewOf(id)).toMatchObject({ status: 'cancelled', cancelling: false, version: 3 });
    expect(await counted('repairs_total{what="answer"}')).toBe(repairs + 1);
    expect(await counted('decisions_total{decision="cancel",outcome="applied"}')).toBe(
      decisions + 1,
    );
  });
});

it('an event bears the mark of a repeat only where somebody asked', () => {
  expect([isRepeated({}), isRepeated(repeated)]).toEqual([false, true]);
});

function reviewOf(id: string): Message {
  const [, , , retrying] = storyOf(id.slice(4));
  const { failure } = retrying!.data as { failure: object };
  const usage = {
    calls: 0,
    inputTokens: 0,
    cachedInputTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
  };
  const data = {
    ...(retrying!.data as object),
    version: 1,
    status: 'needs_review',
    failure,
    usage,
  };
  return { ...retrying!, id: uuidv7(), type: 'dev.holdfast.run.needs-review.v1', data };
}

function inHours(hours: number): string {
  return new Date(Date.now() + hours * 3_600_000).toISOString();
}

async function insertQueued(runs: number, silentHours: number): Promise<void> {
  await api.database.query(
    `INSERT INTO api.runs (tenant, id, workflow, workflow_version, input_ref, documents, priority, labels, status, version,
       attempt, max_attempts, created_at, moved_at)
     SELECT 'default', gen_random_uuid(), 'answer', 1, 'cnt_x', '[]', 'batch', '{}', 'queued', 1, 1, 5, now(),
       now() - make_interval(mins => $2) FROM generate_series(1, $1::int)`,
    [runs, Math.round(silentHours * 60)],
  );
}
