/**
 * docs/writing-a-workflow.md, taken at its word. Real: the compiler, api and processor built from the page's snippets as processes
 * of their own, Postgres, Kafka. Stands in: the simulator for OpenAI; what it says is scripted.
 * A server on this machine takes the webhook.
 */
import type { RunView } from '#libs/contracts';
import { buildWithPage, type PageBuild } from '../support/build-with-page.js';
import { openFlow, type Flow } from '../support/flow.js';
import { receiverSecret, WebhookReceiver } from '../support/webhook-receiver.js';

const workflow = 'meeting-actions';

let build: PageBuild;
let flow: Flow;
let receiver: WebhookReceiver;
beforeAll(async () => {
  build = await buildWithPage('docs/writing-a-workflow.md');
  receiver = await WebhookReceiver.open();
  flow = await openFlow({
    build: build.dist,
    env: {
      PROCESSOR_WEBHOOK_TARGETS: `team-board=${receiver.url}/board`,
      PROCESSOR_WEBHOOK_SECRETS: `team-board=${receiverSecret}`,
      PROCESSOR_WEBHOOK_PRIVATE_ADDRESSES: 'allowed',
    },
  });
});
afterAll(async () => {
  await flow?.close();
  await receiver?.close();
  await build?.remove();
});

it("the page's workflow passes the page's spec, and the spec of the catalogue that it was added to", async () => {
  await build.specs(
    `libs/workflows/src/${workflow}/${workflow}.spec.ts`,
    'libs/workflows/src/catalogue.spec.ts',
  );
});

it("a run of the page's workflow is carried to its result, and paid once", async () => {
  const { runs, simulator, scene } = flow;
  const promises = [{ owner: 'Ada', task: 'Send the offer' }];
  await simulator.script({ fault: { kind: 'text', text: JSON.stringify({ promises }) } });
  const input = { notes: 'Ada sends the offer by Friday.' };
  const { status, body } = await runs.submit({ workflow, input });
  expect(status).toBe(202);
  const { id } = body as RunView;

  const told = await runs.completion(id);
  expect(told.at(-1)).toMatchObject({ status: 'completed' });
  const actions = [{ number: 'A-1', owner: 'Ada', task: 'Send the offer' }];
  expect(await runs.result(id)).toEqual({ actions });
  expect(Object.values(await simulator.chargesOf(id))).toEqual([1]);

  const csv = await fetch(`${scene.apiUrl}/v1/runs/${id}/result`, {
    headers: { accept: 'text/csv' },
    signal: AbortSignal.timeout(10_000),
  });
  expect(await csv.text()).toBe('number,owner,task\r\nA-1,Ada,Send the offer\r\n');
});

it("the page's webhook arrives once, signed, and says what it was given", async () => {
  const { runs, simulator } = flow;
  const promises = [{ owner: 'Ada', task: 'Send the offer' }];
  await simulator.script({ fault: { kind: 'text', text: JSON.stringify({ promises }) } });
  const { body } = await runs.submit({ workflow: 'meeting-board', input: { notes: 'Ada will.' } });
  const { id } = body as RunView;
  await runs.completion(id);
  const actions = [{ number: 'A-1', owner: 'Ada', task: 'Send the offer' }];
  expect(await runs.result(id)).toEqual({ actions });
  const [webhook, ...more] = receiver.received;
  expect(more).toEqual([]);
  expect(webhook).toMatchObject({ path: '/board', isSigned: true });
  expect(webhook?.deliveryId).toMatch(/^dlv_[0-9a-f-]{36}$/);
  expect(JSON.parse(webhook?.body ?? '')).toEqual({
    ...{ type: 'meeting.actions-found', runId: id, data: { actions } },
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
  });
});
