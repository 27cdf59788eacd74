/** Real: api, Postgres, Kafka. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import { ContentStore } from '#libs/content';
import {
  parseDecisionCommand,
  topics,
  type DecisionReceipt,
  type ProblemBody,
  type RunDecisions,
  type RunEventName,
  type RunView,
} from '#libs/contracts';
import type { DecisionName, RunStatus } from '#libs/domain';
import { Consumer, silentLog, type ReceivedMessage } from '#libs/messaging';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { quickestOf } from '../../support/quickest-of.js';
import { kafkaConnectionFor, startReplicaOf, startTestApi, type TestApi } from './api-fixture.js';
import { openStream, take } from './event-stream.js';
import { eventMessage, failure, received } from './run-story.js';

let api: TestApi;
const sent: ReceivedMessage[] = [];
let reader: Consumer;
beforeAll(async () => {
  api = await startTestApi();
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

const usage = {
  ...{ calls: 1, inputTokens: 1, cachedInputTokens: 0 },
  ...{ outputTokens: 1, reasoningTokens: 0 },
};
const fieldsOf: Partial<Record<RunEventName, object>> = {
  RunRetryScheduled: {
    ...{ nextAttemptAt: '2026-01-01T00:00:40.000Z', failure },
    waiting: { reason: 'throttled', until: '2026-01-01T00:00:40.000Z' },
  },
  RunNeedsReview: { failure, usage },
  RunFailed: { failure, usage, durationMs: 1 },
  RunCancelled: { usage, durationMs: 1 },
  RunCompleted: { result: { answer: 'Because.' }, resultRef: 'cnt_x', usage, durationMs: 1 },
};
const eventOf: Partial<Record<RunStatus, RunEventName>> = {
  running: 'RunStarted',
  retrying: 'RunRetryScheduled',
  needs_review: 'RunNeedsReview',
  failed: 'RunFailed',
  cancelled: 'RunCancelled',
  completed: 'RunCompleted',
};

/** A run as a caller and a processor left it; `tell` is the processor. */
async function runThatIs(status: RunStatus) {
  const body = { workflow: 'answer', input: { question: 'Why?' } };
  const submit = api.http().post('/v1/runs').set('Idempotency-Key', randomUUID()).send(body);
  const { id } = (await submit.expect(202)).body as RunView;
  let version = 0;
  const tell = async (name: RunEventName, as: RunStatus, fields: object = {}) => {
    const event = { version: ++version, status: as, occurredAt: new Date().toISOString() };
    const message = eventMessage(id.slice(4), name, { ...event, ...fieldsOf[name], ...fields });
    await api.app.get(ProjectRuns).take(received(message));
    return message;
  };
  const name = eventOf[status];
  if (name) await tell(name, status);
  return { id, tell };
}

const decide = (id: string, decision: DecisionName, body?: object) =>
  api.http().post(`/v1/runs/${id}/${decision}`).send(body);
const bodies: Readonly<Record<DecisionName, object | undefined>> = {
  cancel: undefined,
  redrive: undefined,
  discard: { reason: 'nobody needs it' },
  complete: { result: { answer: 'Because.', refused: false } },
};
const take202 = async (id: string, decision: DecisionName) =>
  (await decide(id, decision, bodies[decision]).expect(202)).body as DecisionReceipt;
const viewOf = async (id: string) => (await api.http().get(`/v1/runs/${id}`)).body as RunView;
const decisionsOf = async (id: string) =>
  ((await api.http().get(`/v1/runs/${id}/decisions`).expect(200)).body as RunDecisions).decisions;

async function commandsOf(id: string, count: number): Promise<ReceivedMessage[]> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const found = sent.filter((message) => message.key === id && /-requested/.test(message.type));
    if (found.length >= count) return found;
    if (performance.now() > deadline) throw new Error(`${found.length} commands of ${id} came`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const markOf = {
  cancel: 'cancelling',
  redrive: 'redrivePending',
  discard: 'discardPending',
  complete: 'completionPending',
} as const;

describe.each<[DecisionName, RunStatus]>([
  ['cancel', 'queued'],
  ['cancel', 'running'],
  ['cancel', 'retrying'],
  ['cancel', 'needs_review'],
  ['redrive', 'needs_review'],
  ['discard', 'needs_review'],
  ['complete', 'needs_review'],
])('a %s of a run that is %s', (decision, status) => {
  it('is stored, marked on the view, and on its way to the processor behind the run itself', async () => {
    const { id } = await runThatIs(status);
    const before = await viewOf(id);
    const answer = await decide(id, decision, bodies[decision]).expect(202);
    const receipt = answer.body as DecisionReceipt;
    expect(receipt).toMatchObject({ runId: id, decision, state: 'pending' });
    expect(answer.headers['location']).toBe(`/v1/runs/${id}`);

    const view = await viewOf(id);
    expect(view).toMatchObject({
      ...{ status, version: before.version, revision: before.revision + 1 },
      [markOf[decision]]: true,
    });
    const marks = Object.values(markOf).filter((mark) => view[mark]);
    expect(marks).toEqual([markOf[decision]]);
    expect(view.message).not.toBe(before.message);
    expect(await decisionsOf(id)).toMatchObject([
      { id: receipt.decisionId, decision, state: 'pending', refusal: null, answeredAt: null },
    ]);

    const [command] = await commandsOf(id, 1);
    if (!command) throw new Error('no command came');
    const parsed = parseDecisionCommand(command);
    expect(parsed).toMatchObject({
      kind: 'parsed',
      value: {
        decision,
        data: { decisionId: receipt.decisionId, runId: id, tenant: 'default' },
      },
    });
    expect(sent.findIndex((each) => each.key === id)).toBeLessThan(sent.indexOf(command));
  });

  it('loses its mark when the processor has applied it, at once with the event', async () => {
    const { id, tell } = await runThatIs(status);
    const { decisionId } = await take202(id, decision);
    const marked = await viewOf(id);
    await tell('RunDecisionApplied', status, { decisionId, decision });
    const view = await viewOf(id);
    expect(view[markOf[decision]]).toBe(false);
    expect(view).toMatchObject({
      ...{ status, version: marked.version + 1, revision: marked.revision + 1 },
      ...{ failure: marked.failure, waiting: marked.waiting, usage: marked.usage },
      nextAttemptAt: marked.nextAttemptAt,
    });
    expect(await decisionsOf(id)).toMatchObject([{ id: decisionId, state: 'applied' }]);
  });

  it('loses its mark when the processor has refused it, and says why', async () => {
    const { id, tell } = await runThatIs(status);
    const { decisionId } = await take202(id, decision);
    const refusal = { code: 'run_already_ended', reason: 'the run has already ended' };
    const answer = await tell('RunDecisionRefused', status, { decisionId, decision, ...refusal });
    expect((await viewOf(id))[markOf[decision]]).toBe(false);
    const [told] = await decisionsOf(id);
    expect(told).toMatchObject({ id: decisionId, state: 'refused', refusal });

    const later = await take202(id, decision);
    await api.app.get(ProjectRuns).take(received(answer));
    expect((await viewOf(id))[markOf[decision]]).toBe(true); // an old answer is none to a new decision
    expect(later.decisionId).not.toBe(decisionId);
  });
});

describe('a cancel', () => {
  it('that is asked for 20 times at once is one decision', async () => {
    const { id } = await runThatIs('running');
    const receipts = await Promise.all(Array.from({ length: 20 }, () => take202(id, 'cancel')));
    expect(new Set(receipts.map(({ decisionId }) => decisionId)).size).toBe(1);
    expect(await decisionsOf(id)).toHaveLength(1);
    expect((await viewOf(id)).revision).toBe(1);
    expect(await commandsOf(id, 1)).toHaveLength(1);
  });

  it('of a cancelled run is answered with the one that cancelled it', async () => {
    const { id, tell } = await runThatIs('running');
    const { decisionId } = await take202(id, 'cancel');
    await tell('RunDecisionApplied', 'running', { decisionId, decision: 'cancel' });
    await tell('RunCancelled', 'cancelled');
    expect(await viewOf(id)).toMatchObject({ status: 'cancelled', cancelling: false, usage });
    const again = await decide(id, 'cancel').expect(200);
    expect(again.body).toMatchObject({ decisionId, state: 'applied' });
  });

  it.each<RunStatus>(['completed', 'failed'])('of a run that has %s is refused', async (status) => {
    const { id } = await runThatIs(status);
    const problem = (await decide(id, 'cancel').expect(409)).body as ProblemBody;
    expect(problem).toMatchObject({ code: 'run_already_ended', run: { id, status } });
    expect(await decisionsOf(id)).toEqual([]);
  });

  it('is taken while something else is on its way, and comes first in the text for people', async () => {
    const { id } = await runThatIs('needs_review');
    await take202(id, 'redrive');
    await take202(id, 'cancel');
    const view = await viewOf(id);
    expect(view).toMatchObject({ cancelling: true, redrivePending: true });
    expect(view.message).toMatch(/^Cancelling: /);
    expect(await commandsOf(id, 2)).toHaveLength(2);
  });

  it('keeps why it was made', async () => {
    const { id } = await runThatIs('queued');
    await decide(id, 'cancel', { reason: 'asked twice' }).expect(202);
    expect(await decisionsOf(id)).toMatchObject([{ reason: 'asked twice' }]);
    const [command] = await commandsOf(id, 1);
    expect(command?.data).toMatchObject({ reason: 'asked twice' });
  });
});

describe('a decision that does not fit', () => {
  const ofReview = ['redrive', 'discard', 'complete'] as const;
  const elsewhere = ['queued', 'running', 'retrying', 'completed', 'failed', 'cancelled'] as const;

  it.each(ofReview.flatMap((decision) => elsewhere.map((status) => [decision, status] as const)))(
    '%s of a run that is %s is refused',
    async (decision, status) => {
      const { id } = await runThatIs(status);
      const problem = (await decide(id, decision, bodies[decision]).expect(409)).body as unknown;
      expect(problem).toMatchObject({ code: 'run_not_in_review', run: { id, status } });
      expect(await decisionsOf(id)).toEqual([]);
    },
  );

  it.each(ofReview.flatMap((first) => ofReview.map((second) => [second, first] as const)))(
    '%s while a %s is on its way is refused, and names it',
    async (second, first) => {
      const { id } = await runThatIs('needs_review');
      const { decisionId } = await take202(id, first);
      const problem = (await decide(id, second, bodies[second]).expect(409)).body as ProblemBody;
      const twice = first === 'redrive' && second === 'redrive';
      const code = twice ? 'redrive_pending' : 'decision_pending';
      expect(problem).toMatchObject({ code, decisionId });
      expect(problem.detail).toContain(decisionId);
      expect(await decisionsOf(id)).toHaveLength(1);
    },
  );

  it.each<[DecisionName, object | undefined, number, string, string]>([
    ['cancel', { why: 'x' }, 400, 'invalid_body', '/why'],
    ['redrive', { reason: 'two\nlines' }, 400, 'invalid_body', '/reason'],
    ['discard', {}, 400, 'invalid_body', '/reason'],
    ['complete', { result: [] }, 400, 'invalid_body', '/result'],
    [
      'complete',
      { result: { answer: 7, refused: false } },
      400,
      'invalid_result',
      '/result/answer',
    ],
    ['complete', { result: { answer: 'x' } }, 400, 'invalid_result', '/result/refused'],
  ])('%s with %j is refused', async (decision, body, status, code, pointer) => {
    const { id } = await runThatIs('needs_review');
    const problem = (await decide(id, decision, body).expect(status)).body as ProblemBody;
    expect(problem).toMatchObject({ code, errors: [{ pointer }] });
    expect(await decisionsOf(id)).toEqual([]);
  });

  it('is refused without the body that it needs, or about a run that there is not', async () => {
    const { id } = await runThatIs('needs_review');
    for (const decision of ['discard', 'complete'] as const) await decide(id, decision).expect(415);
    for (const decision of ['cancel', 'redrive', 'discard', 'complete'] as const)
      await decide(`run_${randomUUID()}`, decision, bodies[decision]).expect(404);
    await api.http().get(`/v1/runs/run_${randomUUID()}/decisions`).expect(404);
  });
});

it('a result by hand is in the content store, and only its reference travels', async () => {
  const { id } = await runThatIs('needs_review');
  const result = { answer: 'By hand.\u0000', refused: false };
  await decide(id, 'complete', { result, reason: 'the model was down' }).expect(202);
  const [command] = await commandsOf(id, 1);
  const { resultRef, reason } = command?.data as { resultRef: string; reason: string };
  expect(reason).toBe('the model was down');
  expect(JSON.stringify(command)).not.toContain('By hand');
  const { bytes } = await api.app.get(ContentStore).get('default', resultRef);
  expect(JSON.parse(Buffer.from(bytes).toString())).toEqual(result);
});

describe('who watches', () => {
  it('sees a decision, and its answer, within 1 s on either replica, and goes on from there', async () => {
    const replica = await startReplicaOf(api);
    try {
      const delayMs = await quickestOf(3, 1_000, async () => {
        const { id, tell } = await runThatIs('running');
        const streams = await Promise.all(
          [api.url, replica.url].flatMap((url) => [
            openStream(`${url}/v1/runs/${id}/events`),
            openStream(`${url}/v1/events?runs=${id}`),
          ]),
        );
        const framesOf = streams.map(({ frames }) => frames[Symbol.asyncIterator]());
        const nextOfEach = () =>
          Promise.all(framesOf.map(async (frames) => (await frames.next()).value as Told));
        await nextOfEach(); // the start

        const startedAt = performance.now();
        const { decisionId } = await take202(id, 'cancel');
        const revised = await nextOfEach();
        const seenAfterMs = performance.now() - startedAt;
        for (const { event, data } of revised) {
          expect(event).toBe('run.revised');
          expect(JSON.parse(data)).toMatchObject({ id, version: 1, revision: 1, cancelling: true });
        }
        await tell('RunDecisionApplied', 'running', { decisionId, decision: 'cancel' });
        const answered = [...(await nextOfEach()), ...(await nextOfEach())];
        const events = answered.map(({ event }) => event).sort();
        expect(events).toEqual([
          ...Array<string>(4).fill('run.decision-applied'),
          ...Array<string>(4).fill('run.revised'),
        ]);
        await tell('RunCancelled', 'cancelled');
        for (const { event } of await nextOfEach()) expect(event).toBe('run.cancelled');
        for (const frames of framesOf) expect(await frames.next()).toMatchObject({ done: true });

        const [first] = revised; // from the middle: what was seen does not come again
        const rest = await take(await openStream(`${api.url}/v1/runs/${id}/events`, first?.id));
        expect(rest.map(({ event }) => event)).toEqual(['run.decision-applied', 'run.cancelled']);
        return seenAfterMs;
      });
      expect(delayMs).toBeLessThan(1_000);
    } finally {
      await replica.stop();
    }
  });

  it('is told on the way in how the view stands, and the ETag tells a marked view from another', async () => {
    const { id } = await runThatIs('running');
    const before = await api.http().get(`/v1/runs/${id}`);
    await take202(id, 'cancel');
    const frames = await take(await openStream(`${api.url}/v1/runs/${id}/events`), 2);
    expect(frames.map(({ id: place, event }) => [place, event])).toEqual([
      ['1', 'run.started'],
      ['1-1', 'run.revised'],
    ]);
    const known = String(before.headers['etag']);
    await api.http().get(`/v1/runs/${id}`).set('If-None-Match', known).expect(200);
  });
});

interface Told {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string;
}
