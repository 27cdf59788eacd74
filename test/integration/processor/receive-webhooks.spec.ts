/**
 * The route that OpenAI's webhooks come to, and what is done about them once they are answered.
 * Real: HTTP, Nest, Fastify, Postgres, the gateway with OpenAI's SDK (it checks the signatures). Stands in: OpenAI
 * (dev/simulator), which signs and sends as OpenAI does; and time, which is moved in the rows.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  callIdOf,
  OpenAiGateway,
  type ModelCallOutcome,
  type ModelCallRequest,
} from '#libs/openai-gateway';
import { Database } from '#libs/postgres';
import { WebhookWorker } from '../../../apps/processor/src/receive-webhooks/webhook-worker.js';
import { ReceiveWebhooksController } from '../../../apps/processor/src/receive-webhooks/receive-webhooks.controller.js';
import { ReceiveWebhooks } from '../../../apps/processor/src/receive-webhooks/receive-webhooks.js';
import { takeRawBodies } from '../../../apps/processor/src/receive-webhooks/raw-bodies.js';
import { WebhooksStore } from '../../../apps/processor/src/receive-webhooks/webhooks.store.js';
import { startSimulator, type Simulator } from '../../../dev/simulator/simulator.js';
import {
  signWebhook,
  type SentWebhook,
  type WebhookOrder,
} from '../../../dev/simulator/webhooks.js';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';
import { eventually } from '../../support/eventually.js';
import { anOwner, aRequest } from '../../support/gateway.js';

const aSecret = () => `whsec_${randomBytes(24).toString('base64')}`;
const [secret, secretOfSpare] = [aSecret(), aSecret()];
const secrets = new Map([
  ['default', secret],
  ['spare', secretOfSpare],
]);
let fresh: FreshDatabase;
let database: Database;
let simulator: Simulator;
/** OpenAI for another account. */
let spare: Simulator;
let on: Processor;
let off: Processor;

beforeAll(async () => {
  fresh = await freshDatabase('migrated');
  database = new Database({ url: fresh.url, applicationName: 'receive-webhooks.spec' });
  simulator = await startSimulator({ latencyMs: 20 });
  spare = await startSimulator({ latencyMs: 20 });
  [on, off] = await Promise.all([openProcessor(secrets), openProcessor(new Map())]);
  on.worker.start();
});
afterAll(async () => {
  await Promise.all([on?.close(), off?.close()]);
  await simulator?.close();
  await spare?.close();
  await database?.close();
  await fresh?.drop();
});
beforeEach(() => {
  simulator.clearFaults();
  simulator.orderWebhooks(null);
  spare.orderWebhooks(null);
});

interface Processor {
  readonly url: string;
  readonly gateway: OpenAiGateway;
  readonly worker: WebhookWorker;
  readonly counted: Map<string, number>;
  readonly lines: string[];
  close(): Promise<void>;
}

/** Its part that has to do with webhooks, as its modules put it together. */
async function openProcessor(
  known: ReadonlyMap<string, string>,
  db = database,
): Promise<Processor> {
  const counted = new Map<string, number>();
  const lines: string[] = [];
  const note = (fields: object, text: string) =>
    void lines.push(`${text} ${JSON.stringify(fields)}`);
  const log = { debug: note, info: note, warn: note, error: note };
  const metrics = {
    add: (name: string, labels: Readonly<Record<string, string>>) => {
      const key = `${name} ${labels['outcome']}`;
      counted.set(key, (counted.get(key) ?? 0) + 1);
    },
    observe: () => undefined,
  };
  const gateway = new OpenAiGateway({
    ...{ database: db, baseUrl: simulator.baseUrl, apiKey: 'sk-spec', log },
    timing: { firstPollMs: 20, maxPollMs: 50, closeGraceMs: 100 },
    accounts: [{ name: 'spare', baseUrl: spare.baseUrl, apiKey: 'sk-spare' }],
    routes: new Map([['gpt-5.4-mini', ['spare']]]),
    ...(known.size > 0 && { webhooks: { secrets: known, graceMs: 60_000 } }),
  });
  const store = new WebhooksStore(db, 60_000);
  const worker = new WebhookWorker({ store, gateway, metrics, log });
  const onStored = () => worker.hint();
  const receive = new ReceiveWebhooks({ gateway, store, metrics, log, onStored });
  @Module({
    controllers: [ReceiveWebhooksController],
    providers: [{ provide: ReceiveWebhooks, useValue: receive }],
  })
  class WebhooksOnly {}
  const adapter = new FastifyAdapter();
  takeRawBodies(adapter.getInstance());
  const app = await NestFactory.create<NestFastifyApplication>(WebhooksOnly, adapter, {
    ...{ bodyParser: false, logger: false, abortOnError: false },
  });
  await app.listen(0, '127.0.0.1');
  return {
    ...{ gateway, worker, counted, lines, url: `${await app.getUrl()}/v1/openai/webhooks` },
    close: async () => {
      await worker.stop();
      await gateway.close();
      await app.close();
    },
  };
}

const eventOf = (responseId: string, type = 'response.completed') =>
  JSON.stringify({ id: 'evt_1', object: 'event', created_at: 1, type, data: { id: responseId } });

interface Delivery {
  readonly body?: string;
  readonly webhookId?: string;
  readonly secret?: string;
  /** So much before now, by what its sender says; default 0. */
  readonly agoMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly to?: Processor;
}

interface Answered {
  readonly httpStatus: number;
  readonly contentType: string;
  /** Of what was taken. */
  readonly webhook?: string;
  /** Of a problem. */
  readonly status?: number;
  readonly code?: string;
  readonly detail?: string;
}

async function deliver(delivery: Delivery = {}): Promise<Answered> {
  const { body = eventOf('resp_x'), webhookId = `wh_${randomUUID()}`, to = on } = delivery;
  const signed = signWebhook(
    body,
    webhookId,
    delivery.secret ?? secret,
    Date.now() - (delivery.agoMs ?? 0),
  );
  const headers = { ...signed, ...delivery.headers };
  const answer = await fetch(to.url, { method: 'POST', headers, body });
  const said = (await answer.json()) as Omit<Answered, 'httpStatus' | 'contentType'>;
  const contentType = answer.headers.get('content-type') ?? '';
  return { httpStatus: answer.status, contentType, ...said };
}

const stored = async (webhookId: string) => {
  const { rows } = await database.query<{ outcome: string | null; looks: number }>(
    'SELECT outcome, looks FROM processor.webhooks WHERE webhook_id = $1',
    [webhookId],
  );
  return rows[0];
};
const allStored = async () =>
  (await database.query<{ n: number }>('SELECT count(*)::int AS n FROM processor.webhooks'))
    .rows[0]!.n;
const settled = (webhookId: string) =>
  eventually(`${webhookId} is settled`, async () => {
    const row = await stored(webhookId);
    return row?.outcome ? row : null;
  });
const ledgerRow = async (request: ModelCallRequest) =>
  (
    await database.query<Record<string, unknown>>(
      'SELECT * FROM processor.calls WHERE call_id = $1',
      [callIdOf(request)],
    )
  ).rows[0];
const chargesOf = (request: ModelCallRequest) =>
  simulator.charges().byCallId[callIdOf(request)] ?? 0;
const order = (changes: Partial<WebhookOrder> = {}) =>
  simulator.orderWebhooks({ url: on.url, secret, ...changes });
const aLostReply = () => {
  const request = aRequest();
  const fault = { kind: 'reset_after_charge' } as const;
  simulator.addFaults([{ match: { runId: request.runId }, fault }]);
  return request;
};

describe('a delivery', () => {
  it('is stored, once, and answered 2xx each time; then its response is looked for', async () => {
    const webhookId = `wh_${randomUUID()}`;
    const answers = await Promise.all(Array.from({ length: 10 }, () => deliver({ webhookId })));
    expect(answers.map(({ httpStatus }) => httpStatus)).toEqual(Array<number>(10).fill(200));
    const said = answers.map(({ webhook }) => webhook).sort();
    expect(said).toEqual([...Array<string>(9).fill('repeated'), 'stored']);
    expect(await settled(webhookId)).toEqual({ outcome: 'gone', looks: 1 });
    expect(await deliver({ webhookId })).toMatchObject({ httpStatus: 200, webhook: 'repeated' });
    expect(await stored(webhookId)).toEqual({ outcome: 'gone', looks: 1 });
  });

  it('about something else, or of a type of next year, is answered 2xx and not stored', async () => {
    const before = await allStored();
    for (const type of ['batch.completed', 'response.of.next.year'])
      expect(await deliver({ body: eventOf('resp_x', type) })).toMatchObject({
        ...{ httpStatus: 200, webhook: 'ignored' },
      });
    expect(await allStored()).toBe(before);
  });

  const another = `whsec_${randomBytes(24).toString('base64')}`;
  it.each<[string, Delivery, number, string]>([
    ['signed with another secret', { secret: another }, 401, 'webhook_signature'],
    ['without a signature', { headers: { 'webhook-signature': '' } }, 401, 'webhook_signature'],
    [
      'with garbage for one',
      { headers: { 'webhook-signature': 'v1,?' } },
      401,
      'webhook_signature',
    ],
    ['with another id', { headers: { 'webhook-id': 'wh_other' } }, 401, 'webhook_signature'],
    ['without a time', { headers: { 'webhook-timestamp': '' } }, 401, 'webhook_signature'],
    [
      'with another time',
      { headers: { 'webhook-timestamp': nowPlus(60) } },
      401,
      'webhook_signature',
    ],
    ['replayed after 6 minutes', { agoMs: 360_000 }, 400, 'webhook_outside_window'],
    ['from the future', { agoMs: -360_000 }, 400, 'webhook_outside_window'],
    ['that is no JSON', { body: '{"type": ' }, 400, 'webhook_unreadable'],
    ['that is empty', { body: '' }, 400, 'webhook_unreadable'],
    ['that is null', { body: 'null' }, 400, 'webhook_unreadable'],
    [
      'that names no response',
      { body: '{"type":"response.completed"}' },
      400,
      'webhook_unreadable',
    ],
    ['with a hostile id', { body: eventOf("r'\u0000 ../") }, 400, 'webhook_unreadable'],
    ['of 65 KiB', { body: eventOf('r'.repeat(65 * 1024)) }, 413, 'webhook_too_large'],
  ])('%s is refused and changes nothing', async (_, delivery, status, code) => {
    const before = await allStored();
    const answer = await deliver(delivery);
    expect(answer).toMatchObject({
      httpStatus: status,
      status,
      code,
      contentType: expect.stringContaining('problem+json') as string,
    });
    expect(answer.detail).toEqual(expect.any(String));
    expect(await allStored()).toBe(before);
  });

  it('over what is read at all is refused by Fastify', async () => {
    const answer = await fetch(on.url, { method: 'POST', body: 'x'.repeat(2 * 1024 * 1024) });
    expect(answer.status).toBe(413);
  });

  it('may come as any content type, byte for byte', async () => {
    const body = `${eventOf('resp_x')}\n  `;
    expect(await deliver({ body, headers: { 'content-type': 'text/plain' } })).toMatchObject({
      ...{ httpStatus: 200, webhook: 'stored' },
    });
  });

  it('is turned away where no secret is set, and told what to set', async () => {
    expect(await deliver({ to: off })).toMatchObject({
      ...{ httpStatus: 404, status: 404, code: 'webhook_off' },
      detail: expect.stringContaining('OPENAI_WEBHOOK_SECRET') as string,
    });
  });

  it('is sent again when it cannot be stored: 503', async () => {
    const closed = new Database({ url: fresh.url, applicationName: 'closed' });
    const broken = await openProcessor(secrets, closed);
    await closed.close();
    expect(await deliver({ to: broken })).toMatchObject({
      status: 503,
      code: 'webhook_not_stored',
    });
    await broken.close();
  });

  it('is one line and one count, without a word of what was sent', async () => {
    on.lines.length = 0;
    on.counted.clear();
    await deliver({
      body: JSON.stringify({ type: 'batch.completed', data: { note: 'Quandary' } }),
    });
    await deliver({ body: '{"Quandary', headers: {} });
    await deliver({ secret: another, webhookId: 'wh_Quandary' });
    const lines = on.lines.filter((line) => line.startsWith('webhook received'));
    expect(lines).toHaveLength(3);
    expect(lines.join()).not.toContain('Quandary');
    const received = [...on.counted].filter(([key]) => key.startsWith('holdfast_webhooks_total'));
    expect(Object.fromEntries(received)).toEqual({
      'holdfast_webhooks_total ignored': 1,
      'holdfast_webhooks_total unreadable': 1,
      'holdfast_webhooks_total signature': 1,
    });
  });
});

function nowPlus(seconds: number): string {
  return String(Math.floor(Date.now() / 1_000) + seconds);
}

/** The webhook that told of the call; its sender may hear that it was taken after the call has ended. */
function deliveryOf(openAi: Simulator, outcome: ModelCallOutcome): Promise<SentWebhook> {
  if (outcome.kind !== 'completed') throw new Error(outcome.kind);
  return eventually('it was told', () =>
    openAi.webhooks().find(({ responseId }) => responseId === outcome.responseId),
  );
}

describe('from the lost reply to the result', () => {
  it('the paid result is taken when OpenAI tells of it', async () => {
    order();
    const request = aLostReply();
    const outcome = await on.gateway.callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'completed' });
    expect(chargesOf(request)).toBe(1);
    const sent = await deliveryOf(simulator, outcome);
    expect(sent).toMatchObject({ status: 200, type: 'response.completed' });
    expect(await settled(sent.webhookId)).toEqual({ outcome: 'booked', looks: 1 });
  });

  it('told five times at once: taken once', async () => {
    order({ copies: 5 });
    const request = aLostReply();
    expect(await on.gateway.callModel(request, anOwner())).toMatchObject({ kind: 'completed' });
    expect(chargesOf(request)).toBe(1);
  });

  it('of another account, told of under its own secret: fetched there, and taken', async () => {
    spare.orderWebhooks({ url: on.url, secret: secretOfSpare });
    const request = aRequest({ model: 'gpt-5.4-mini' });
    spare.addFaults([{ match: { runId: request.runId }, fault: { kind: 'reset_after_charge' } }]);
    const outcome = await on.gateway.callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'completed' });
    expect(spare.charges().byCallId[callIdOf(request)]).toBe(1);
    const sent = await deliveryOf(spare, outcome);
    expect(await settled(sent.webhookId)).toEqual({ outcome: 'booked', looks: 1 });
    const fetched = spare.requests().filter(({ operation }) => operation === 'retrieve');
    expect(fetched.length).toBeGreaterThan(0);
  });

  it('of another account, told of under the secret of the first: not found there, and waited on', async () => {
    spare.orderWebhooks({ url: on.url, secret });
    const request = aRequest({ model: 'gpt-5.4-mini' });
    spare.addFaults([{ match: { runId: request.runId }, fault: { kind: 'reset_after_charge' } }]);
    const owner = anOwner();
    const before = spare.webhooks().length;
    const outcome = on.gateway.callModel(request, owner);
    const sent = await eventually('it was told', () => spare.webhooks()[before]);
    expect(await settled(sent.webhookId)).toEqual({ outcome: 'gone', looks: 1 });
    expect(await ledgerRow(request)).toMatchObject({ state: 'unknown', account: 'spare' });
    owner.stop();
    expect(await outcome).toEqual({ kind: 'aborted' });
  });

  it('told of by somebody who does not have the secret: waited on', async () => {
    order({ forged: true });
    const request = aLostReply();
    const owner = anOwner();
    const outcome = on.gateway.callModel(request, owner);
    await eventually('it was refused', () => simulator.webhooks().at(-1)?.status === 401);
    expect(await ledgerRow(request)).toMatchObject({ state: 'unknown', response_id: null });
    owner.stop();
    expect(await outcome).toEqual({ kind: 'aborted' });
  });

  it('told of a response whose call is followed: left to its owner, and settled when it ended', async () => {
    order();
    const request = aRequest();
    const fault = { kind: 'latency', ms: 60 } as const;
    simulator.addFaults([
      { match: { runId: request.runId }, fault },
      {
        match: { operation: 'retrieve', runId: request.runId },
        fault: { kind: 'hang', ms: 400 },
        times: 2,
      },
    ]);
    const sent = await deliveryOf(simulator, await on.gateway.callModel(request, anOwner()));
    await eventually(
      'it was looked at',
      async () => ((await stored(sent.webhookId))?.looks ?? 0) > 0,
    );
    await database.query(
      'UPDATE processor.webhooks SET due_at = now() WHERE webhook_id = $1 AND due_at IS NOT NULL',
      [sent.webhookId],
    );
    expect(await settled(sent.webhookId)).toMatchObject({ outcome: 'known' });
  });

  it('processors that look at once take each one once, and not again before its time', async () => {
    await database.query(
      `INSERT INTO processor.webhooks (webhook_id, response_id) SELECT 'wh_many_' || n, 'resp_many' FROM generate_series(1, 40) n`,
    );
    const stores = [1, 2, 3].map(() => new WebhooksStore(database, 60_000));
    const taken = (await Promise.all(stores.map((store) => store.take(15)))).flat();
    taken.push(...(await stores[0]!.take(100)));
    const ids = taken.map(({ webhookId }) => webhookId);
    expect(new Set(ids).size).toBe(ids.length);
    const { rows } = await database.query<{ looks: number }>(
      `SELECT looks FROM processor.webhooks WHERE webhook_id LIKE 'wh_many_%'`,
    );
    expect(rows.map(({ looks }) => looks)).toEqual(Array<number>(40).fill(1));
  });

  it('a processor that dies while it works on one leaves it to the others', async () => {
    const request = aLostReply();
    const owner = anOwner();
    const outcome = on.gateway.callModel(request, owner);
    await eventually('unknown', async () => (await ledgerRow(request))?.['state'] === 'unknown');
    const charge = simulator.charges().charges.find((one) => one.callId === callIdOf(request))!;
    const webhookId = `wh_${randomUUID()}`;
    // As its death leaves the row: taken, and due again when that time is over.
    await database.query(
      `INSERT INTO processor.webhooks (webhook_id, response_id, looks, due_at) VALUES ($1, $2, 1, now() + interval '1 second')`,
      [webhookId, charge.responseId],
    );
    expect(await outcome).toMatchObject({ kind: 'completed' });
    expect(await settled(webhookId)).toEqual({ outcome: 'booked', looks: 2 });
    expect(chargesOf(request)).toBe(1);
  });
});
