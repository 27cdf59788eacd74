/**
 * Effects happen once. Real: api and processors as processes of their own, built with the workflows of `notifying-workflows.md`,
 * SIGKILL and SIGSTOP, Postgres, Kafka, HTTP. Stand in: the simulator for OpenAI; for the receiver a server that counts what it
 * gets, checks its signature, and does what it is told.
 *
 * `notify-once` has a webhook step that is not idempotent, `notify-again` one that is; before and after it each calls the model.
 */
import type { RunView } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import type { AppProcess } from '../support/app-process.js';
import { buildWithPage, type PageBuild } from '../support/build-with-page.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { headersOf } from '../support/topic-watch.js';
import { receiverSecret, WebhookReceiver, type Behaviour } from '../support/webhook-receiver.js';

type Workflow = 'notify-once' | 'notify-again';

let build: PageBuild;
let flow: Flow;
let receiver: WebhookReceiver;

beforeAll(async () => {
  build = await buildWithPage('test/faults/notifying-workflows.md');
  receiver = await WebhookReceiver.open();
  flow = await openFlow({
    processors: 0,
    build: build.dist,
    env: {
      PROCESSOR_WEBHOOK_TARGETS: `crm=${receiver.url}/hooks`,
      PROCESSOR_WEBHOOK_SECRETS: `crm=${receiverSecret}`,
      PROCESSOR_WEBHOOK_PRIVATE_ADDRESSES: 'allowed',
    },
  });
}, 180_000);
afterAll(async () => {
  await flow?.close();
  await receiver?.close();
  await build?.remove();
});
/** Each spec begins with no processor, a receiver that takes everything, and a model that answers. */
afterEach(async () => {
  await Promise.all(flow.scene.processors.map((processor) => processor.stop()));
  receiver.behaveAgain();
  await flow.simulator.clearScript();
}, 60_000);

async function ask(workflow: Workflow, question = 'Who is told?'): Promise<string> {
  const { status, body } = await flow.runs.submit({ workflow, input: { question } });
  expect(status).toBe(202);
  return (body as RunView).id;
}

const needsReview = (runId: string, withinMs = 45_000) =>
  flow.runs.streamUntil(runId, 'review', ({ status }) => status === 'needs_review', withinMs);

/** What came of the run's messages: how often each came, all signed, all the same under one id. */
function deliveriesOf(runId: string): number[] {
  const own = receiver.received.filter(({ body }) => body.includes(runId));
  expect(own.every(({ isSigned }) => isSigned)).toBe(true);
  expect(new Set(own.map(({ deliveryId }) => deliveryId)).size).toBeLessThanOrEqual(1);
  expect(new Set(own.map(({ body }) => body)).size).toBeLessThanOrEqual(1);
  return Object.values(receiver.deliveriesOf(runId));
}

async function effectOf(runId: string): Promise<Record<string, unknown>> {
  const { rows } = await flow.database.query(
    `SELECT state, attempt_count, possible_duplicate, http_status FROM processor.effects WHERE run_id = $1`,
    [uuidOf(runId as RunId)],
  );
  expect(rows).toHaveLength(1);
  return rows[0]!;
}

async function pausedAt(point: string): Promise<AppProcess> {
  const victim = await flow.scene.startProcessor({ HOLDFAST_PAUSE_AT: point });
  await victim.paused(60_000);
  return victim;
}

describe('a processor that is killed', () => {
  it.each<[string, Workflow, 'completed' | 'needs_review', number[]]>([
    ['effect.sending', 'notify-once', 'needs_review', []],
    ['effect.replied', 'notify-once', 'needs_review', [1]],
    ['effect.done', 'notify-once', 'completed', [1]],
    ['effect.sending', 'notify-again', 'completed', [1]],
    ['effect.replied', 'notify-again', 'completed', [2]],
    ['effect.done', 'notify-again', 'completed', [1]],
  ])(
    'at %s of %s: the run is %s, the receiver got %j',
    async (point, workflow, end, deliveries) => {
      const id = await ask(workflow);
      const victim = await pausedAt(point);
      await victim.killHard();
      await flow.scene.startProcessor();
      if (end === 'completed') await flow.runs.completion(id, 45_000);
      else await needsReview(id);
      expect(deliveriesOf(id)).toEqual(deliveries);
      expect(await effectOf(id)).toMatchObject({
        state: end === 'completed' ? 'done' : 'unknown',
        possible_duplicate: workflow === 'notify-again' && point !== 'effect.done',
      });
      const { run } = await flow.runs.view(id);
      if (end === 'needs_review')
        expect(run.failure).toMatchObject({
          ...{ class: 'outcome_unknown', code: 'webhook_sender_died', step: 'tell' },
          message: expect.stringMatching(
            /webhook to crm \(127\.0\.0\.1:\d+\), delivery dlv_[0-9a-f-]{36}, sent \d{4}-/,
          ) as string,
        });
    },
    120_000,
  );

  it('after the step that tells: the run goes on behind it, and tells nobody again', async () => {
    const id = await ask('notify-once');
    const victim = await pausedAt('check-point.saved:2'); // the first is that of the call before
    await victim.killHard();
    await flow.scene.startProcessor();
    await flow.runs.completion(id, 45_000);
    expect(deliveriesOf(id)).toEqual([1]);
  }, 120_000);
});

it('a redrive of what nobody can know sends it once more, under its id, and books that', async () => {
  const id = await ask('notify-once');
  const victim = await pausedAt('effect.replied');
  await victim.killHard();
  await flow.scene.startProcessor();
  await needsReview(id);
  await flow.runs.decide(id, 'redrive');
  await flow.runs.completion(id);
  expect(deliveriesOf(id)).toEqual([2]);
  expect(await effectOf(id)).toEqual({
    ...{ state: 'done', attempt_count: 2, possible_duplicate: true, http_status: 204 },
  });
}, 120_000);

it('a later step that fails and is redriven tells nobody again', async () => {
  await flow.scene.startProcessor();
  await flow.simulator.script({
    match: { inputIncludes: 'Check: ' },
    fault: { kind: 'text', text: 'broken' },
  });
  const id = await ask('notify-once');
  await needsReview(id);
  expect(deliveriesOf(id)).toEqual([1]);
  await flow.simulator.clearScript();
  await flow.runs.decide(id, 'redrive');
  await flow.runs.completion(id);
  expect(deliveriesOf(id)).toEqual([1]);
  expect(await effectOf(id)).toMatchObject({ attempt_count: 1, possible_duplicate: false });
}, 120_000);

it('an owner that was frozen past its lease sends nothing when it comes back', async () => {
  const id = await ask('notify-once');
  const late = await pausedAt('effect.sending');
  await flow.scene.startProcessor();
  await needsReview(id);
  late.thaw();
  // Nobody knew whether it had left; now its sender is back, and says that it had not.
  await eventually('the late owner puts it back', async () => {
    const { state, attempt_count: attempts } = await effectOf(id);
    return state === 'planned' && attempts === 0;
  });
  await flow.runs.decide(id, 'redrive');
  await flow.runs.completion(id, 45_000);
  expect(deliveriesOf(id)).toEqual([1]);
}, 120_000);

describe('a receiver', () => {
  it.each<[string, Behaviour]>([
    ['resets the connection', { kind: 'reset' }],
    ['says 502', { kind: 'answer', status: 502 }],
    ['says 503 without a word when', { kind: 'answer', status: 503 }],
  ])(
    'that %s: not idempotent, a person; idempotent, again',
    async (_what, behaviour) => {
      await flow.scene.startProcessor();
      receiver.next(behaviour, behaviour, { kind: 'answer', status: 200 });
      const once = await ask('notify-once');
      await needsReview(once);
      expect(deliveriesOf(once)).toEqual([1]);
      expect((await flow.runs.view(once)).run.failure?.class).toBe('outcome_unknown');
      const again = await ask('notify-again');
      await flow.runs.completion(again);
      expect(deliveriesOf(again)).toEqual([2]);
      expect(await effectOf(again)).toMatchObject({ state: 'done', possible_duplicate: true });
    },
    120_000,
  );

  it('that is busy is asked again, not before it said, also where it may be told but once', async () => {
    await flow.scene.startProcessor();
    receiver.next(
      { kind: 'answer', status: 429, headers: { 'retry-after': '1' } },
      { kind: 'answer', status: 503, headers: { 'retry-after': '1' } },
      { kind: 'answer', status: 200 },
    );
    const startedAtMs = performance.now();
    const id = await ask('notify-once');
    await flow.runs.completion(id);
    expect(performance.now() - startedAtMs).toBeGreaterThan(2_000);
    expect(deliveriesOf(id)).toEqual([3]);
    expect(await effectOf(id)).toMatchObject({ attempt_count: 3, possible_duplicate: false });
  }, 60_000);

  it.each([410, 307])(
    'that says %i for good is not asked again by itself',
    async (status) => {
      await flow.scene.startProcessor();
      receiver.next({ kind: 'answer', status });
      const id = await ask('notify-again');
      await needsReview(id);
      const { run } = await flow.runs.view(id);
      expect(run.failure).toMatchObject({ class: 'invalid_request', httpStatus: status });
      expect(run.message).toContain('the service that this run has to tell refused the message');
      expect(deliveriesOf(id)).toEqual([1]);
    },
    60_000,
  );
});

it('what a receiver answers, and what signs messages to it, is told nowhere', async () => {
  const planted = 'plantedreceiverword';
  const headers = { 'x-note': planted, 'set-cookie': `a=${planted}`, location: `/${planted}` };
  const says = (status: number): Behaviour => ({ kind: 'answer', status, headers, body: planted });
  const processor = await flow.scene.startProcessor({ LOG_LEVEL: 'debug' });
  for (const status of [200, 302, 307, 400, 410, 500]) {
    receiver.behaveAgain();
    receiver.next(says(status));
    const id = await ask('notify-once');
    if (status === 200) await flow.runs.completion(id);
    else await needsReview(id);
    const { rows } = await flow.database.query<{ answer: Buffer }>(
      'SELECT answer FROM processor.effects WHERE run_id = $1',
      [uuidOf(id as RunId)],
    );
    expect(String(rows[0]!.answer)).toBe(planted); // for support, who looks for it
    const seen = [await flow.runs.view(id), await flow.runs.history(id)];
    expect(JSON.stringify(seen)).not.toContain(planted);
  }
  await flow.published();
  const told = flow.watch.seen.map((record) =>
    JSON.stringify([headersOf(record), String(record.value)]),
  );
  const lines = [processor, flow.scene.api].flatMap((app) => app.output().split('\n'));
  for (const secret of [planted, receiverSecret, receiverSecret.slice('whsec_'.length)])
    expect([...told, ...lines].filter((text) => text.includes(secret))).toEqual([]);
  expect(lines.filter((line) => line.includes('"level":"debug"')).length).toBeGreaterThan(10);
}, 120_000);

it('a run that is cancelled while its webhook is on the way ends when that is known', async () => {
  const id = await ask('notify-once');
  const owner = await pausedAt('effect.replied');
  await flow.runs.decide(id, 'cancel');
  owner.thaw();
  await flow.runs.streamUntil(id, 'end', ({ status }) => status === 'cancelled', 45_000);
  expect(deliveriesOf(id)).toEqual([1]);
  expect(await effectOf(id)).toMatchObject({ state: 'done', http_status: 204 });
}, 120_000);

it('a run whose processor died sending is cancelled when the next owner has said what is not known', async () => {
  const id = await ask('notify-once');
  const victim = await pausedAt('effect.sending');
  await flow.runs.decide(id, 'cancel');
  await victim.killHard();
  await flow.scene.startProcessor();
  await flow.runs.streamUntil(id, 'end', ({ status }) => status === 'cancelled', 45_000);
  expect(deliveriesOf(id)).toEqual([]);
  expect(await effectOf(id)).toMatchObject({ state: 'unknown' });
}, 120_000);

it('addresses of this machine are refused where the setting does not allow them', async () => {
  await flow.scene.startProcessor({ PROCESSOR_WEBHOOK_PRIVATE_ADDRESSES: 'refused' });
  const id = await ask('notify-again');
  await needsReview(id);
  expect((await flow.runs.view(id)).run.failure).toMatchObject({
    ...{ class: 'configuration', code: 'webhook_address_refused' },
  });
  expect(deliveriesOf(id)).toEqual([]);
  expect(await effectOf(id)).toMatchObject({ state: 'planned', attempt_count: 0 });
}, 60_000);
