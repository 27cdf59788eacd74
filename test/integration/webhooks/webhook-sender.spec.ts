/**
 * Real: HTTP over sockets of this machine, undici, the system's look-up where none is given. Stands in: a receiver
 * (webhook-receiver.ts) that does what it is told; where it says so, the look-up of names.
 */
import { createServer, type AddressInfo } from 'node:net';
import { WebhookSender, type WebhookReply, type WebhookTarget } from '#libs/webhooks';
import { receiverSecret, WebhookReceiver, type Behaviour } from '../../support/webhook-receiver.js';

/** Only specs of who takes too long make it short. */
const patient = { connectMs: 10_000, headersMs: 10_000, bodyMs: 10_000 };
/** Together they are the end of a body that trickles. */
const short = { connectMs: 500, headersMs: 1_000, bodyMs: 500 };
const delivery = { deliveryId: 'dlv_1', body: Buffer.from('{"data":"Grüße"}') };

let receiver: WebhookReceiver;
beforeEach(async () => {
  receiver = await WebhookReceiver.open();
});
afterEach(() => receiver.close());

const targetAt = (url: string): WebhookTarget => ({
  ...{ name: 'crm', url: new URL(url), secret: receiverSecret },
});
const senderWith = (options: Partial<ConstructorParameters<typeof WebhookSender>[0]> = {}) =>
  new WebhookSender({ privateAddresses: 'allowed', timing: patient, ...options });

async function sendTo(
  url: string,
  sender = senderWith(),
  mayLeave = () => true,
): Promise<WebhookReply> {
  const route = await sender.routeTo(targetAt(url));
  if (route.kind !== 'route') throw new Error(`no route: ${JSON.stringify(route)}`);
  return sender.send(route, delivery, mayLeave);
}

async function replyTo(behaviour: Behaviour, timing = patient): Promise<WebhookReply> {
  receiver.next(behaviour);
  return sendTo(receiver.url, senderWith({ timing }));
}

describe('what is sent', () => {
  it('arrives as it is, signed, under its delivery id, at the path and with the query', async () => {
    expect(await sendTo(`${receiver.url}/hooks/a?b=c=d`)).toMatchObject({
      ...{ kind: 'answered', status: 204 },
    });
    expect(receiver.received).toMatchObject([
      {
        ...{ deliveryId: 'dlv_1', path: '/hooks/a?b=c=d', isSigned: true },
        body: '{"data":"Grüße"}',
        headers: { 'content-type': 'application/json', 'webhook-id': 'dlv_1' },
      },
    ]);
  });

  it('does not leave once it is called off on the open connection', async () => {
    const asked: string[] = [];
    const reply = await sendTo(receiver.url, senderWith(), () => {
      asked.push('may it leave?');
      return false;
    });
    expect(reply).toEqual({ kind: 'called_off' });
    expect(asked).toHaveLength(1);
    expect(receiver.received).toEqual([]);
  });
});

describe('what comes back', () => {
  it('is the status, how long to wait, and the beginning of the body', async () => {
    const headers = { 'retry-after': '7' };
    const reply = await replyTo({ kind: 'answer', status: 503, headers, body: 'busy' });
    expect(reply).toEqual({
      ...{ kind: 'answered', status: 503, retryAfterMs: 7_000, answer: Buffer.from('busy') },
    });
  });

  it('may be a redirect, which is followed nowhere', async () => {
    const other = await WebhookReceiver.open();
    const headers = { location: `${other.url}/elsewhere` };
    const reply = await replyTo({ kind: 'answer', status: 307, headers });
    expect(reply).toMatchObject({ kind: 'answered', status: 307 });
    expect([receiver.received.length, other.received.length]).toEqual([1, 0]);
    await other.close();
  });

  it.each<Behaviour>([
    { kind: 'huge', status: 200 },
    { kind: 'drip', status: 200 },
    { kind: 'cut', status: 200 },
  ])('counts by its status, whatever becomes of the body: %j', async (behaviour) => {
    const reply = await replyTo(behaviour, short);
    expect(reply).toMatchObject({ kind: 'answered', status: 200 });
    if (reply.kind !== 'answered') return;
    expect(reply.answer.length).toBeLessThanOrEqual(2_048);
    if (behaviour.kind === 'huge') expect(reply.answer).toHaveLength(2_048);
  });
});

describe('where no answer comes', () => {
  it('the request has left: a reset', async () => {
    expect(await replyTo({ kind: 'reset' })).toMatchObject({
      ...{ kind: 'no_answer', requestLeft: true, timedOut: false },
    });
    expect(receiver.received).toHaveLength(1);
  });

  it('the request has left: a receiver that hangs, for as long as it is given', async () => {
    expect(await replyTo({ kind: 'hang' }, short)).toMatchObject({
      ...{ kind: 'no_answer', requestLeft: true, timedOut: true },
    });
    expect(receiver.received).toHaveLength(1);
  });

  it('nothing has left: nobody listens', async () => {
    const { url } = receiver;
    await receiver.close();
    expect(await sendTo(url)).toMatchObject({
      ...{ kind: 'no_answer', requestLeft: false, cause: 'ECONNREFUSED' },
    });
    receiver = await WebhookReceiver.open();
  });

  it('nothing has left: the other side speaks no TLS', async () => {
    const plain = createServer((socket) =>
      socket
        .on('error', () => undefined)
        .resume()
        .end('no TLS here'),
    );
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as AddressInfo;
    expect(await sendTo(`https://127.0.0.1:${port}/`)).toMatchObject({
      ...{ kind: 'no_answer', requestLeft: false },
    });
    await new Promise((resolve) => plain.close(resolve));
  });
});

describe('a name', () => {
  it('that leads to this machine is not sent to unless that is allowed', async () => {
    const careful = senderWith({ privateAddresses: 'refused' });
    const local = new URL(receiver.url);
    local.hostname = 'localhost';
    for (const url of [receiver.url, local.href])
      expect(await careful.routeTo(targetAt(url))).toEqual({
        ...{ kind: 'refused', because: 'address_refused' },
      });
    expect(receiver.received).toEqual([]);
  });

  it('is looked up once, and what it means later leads nowhere else: DNS re-binding', async () => {
    const other = await WebhookReceiver.open();
    const answers = ['127.0.0.1', '127.0.0.9', '127.0.0.9'];
    const asked: string[] = [];
    const lookup = (host: string) => {
      asked.push(host);
      return Promise.resolve([{ address: answers[asked.length - 1] ?? '', family: 4 }]);
    };
    const { port } = new URL(receiver.url);
    const reply = await sendTo(`http://rebound.test:${port}/`, senderWith({ lookup }));
    expect(reply).toMatchObject({ kind: 'answered', status: 204 });
    expect(asked).toEqual(['rebound.test']);
    expect(receiver.received[0]?.headers.host).toBe(`rebound.test:${port}`);
    await other.close();
  });

  it('with one address of our network among public ones is sent to by none of them', async () => {
    const lookup = () =>
      Promise.resolve([
        { address: '203.0.114.7', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]);
    const careful = senderWith({ lookup, privateAddresses: 'refused' });
    const { port } = new URL(receiver.url);
    expect(await careful.routeTo(targetAt(`https://mixed.test:${port}/`))).toMatchObject({
      ...{ kind: 'refused', because: 'address_refused' },
    });
  });
});
