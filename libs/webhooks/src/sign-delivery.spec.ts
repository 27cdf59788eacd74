/** The vector is the one that the libraries of Standard Webhooks are tested with: github.com/standard-webhooks, `libraries/`. */
import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { isSigningSecret, signDelivery } from './sign-delivery.js';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

it('signs as the published vector says', () => {
  const body = Buffer.from('{"test": 2432232314}');
  expect(signDelivery('msg_p5jXN8AQM9LWM0D4loKWxJek', body, secret, 1_614_265_330_000)).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

it('signs what a receiver verifies, in any alphabet, and nothing else', () => {
  const body = Buffer.from(JSON.stringify({ data: 'Angebot für "Å" \ud83d\ude80 \u0000' }));
  const headers = { ...signDelivery('dlv_1', body, secret, Date.now()) };
  expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body.toString()));
  const forged = Buffer.from(body.toString().replace('Angebot', 'Auftrag'));
  expect(() => new Webhook(secret).verify(forged, headers)).toThrow('No matching signature');
});

it('signs the very bytes that are sent', () => {
  const body = Buffer.from('{"n":1}');
  const { 'webhook-signature': signature } = signDelivery('dlv_2', body, secret, 5_999);
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const said = Buffer.concat([Buffer.from('dlv_2.5.'), body]);
  expect(signature).toBe(`v1,${createHmac('sha256', key).update(said).digest('base64')}`);
});

it.each([
  [secret, true],
  [`whsec_${Buffer.alloc(32, 7).toString('base64')}`, true],
  [`whsec_${Buffer.alloc(64, 7).toString('base64')}`, true],
  [secret.slice('whsec_'.length), false],
  ['whsec_', false],
  ['whsec_c2hvcnQ=', false],
  [`whsec_${Buffer.alloc(65, 7).toString('base64')}`, false],
  ['whsec_not base64 not base64 not base64', false],
])('%s is a secret: %s', (text, isOne) => {
  expect(isSigningSecret(text)).toBe(isOne);
});
