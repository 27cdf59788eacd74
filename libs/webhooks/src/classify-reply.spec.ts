/** Pure; nothing stands in. */
import fc from 'fast-check';
import { failureRules } from '#libs/domain';
import { classifyDeadSender, classifyNoRoute, classifyReply } from './classify-reply.js';
import type { WebhookReply } from './webhook-sender.js';

type Reply = Exclude<WebhookReply, { kind: 'called_off' }>;

const answered = (status: number, retryAfterMs: number | null = null): Reply => ({
  ...{ kind: 'answered', status, retryAfterMs, answer: Buffer.from('the receiver said something') },
});
const noAnswer = (requestLeft: boolean, timedOut = false): Reply => ({
  ...{ kind: 'no_answer', requestLeft, timedOut, cause: 'ECONNRESET' },
});

/** What came back; what it is for a step that is not idempotent; for one that is. */
it.each<[string, Reply, string, string]>([
  ['200', answered(200), 'done', 'done'],
  ['204', answered(204), 'done', 'done'],
  ['301', answered(301), 'failed invalid_request', 'failed invalid_request'],
  ['302', answered(302), 'unknown outcome_unknown', 'failed invalid_request'],
  ['303', answered(303), 'unknown outcome_unknown', 'failed invalid_request'],
  ['307', answered(307), 'failed invalid_request', 'failed invalid_request'],
  ['308', answered(308), 'failed invalid_request', 'failed invalid_request'],
  ['400', answered(400), 'failed invalid_request', 'failed invalid_request'],
  ['401', answered(401), 'failed authorization', 'failed authorization'],
  ['403', answered(403), 'failed authorization', 'failed authorization'],
  ['404', answered(404), 'failed invalid_request', 'failed invalid_request'],
  ['408', answered(408), 'unknown outcome_unknown', 'unknown timeout'],
  ['409', answered(409), 'failed invalid_request', 'failed invalid_request'],
  ['410', answered(410), 'failed invalid_request', 'failed invalid_request'],
  ['429', answered(429), 'failed throttled', 'failed throttled'],
  ['500', answered(500), 'unknown outcome_unknown', 'unknown server_error'],
  ['502', answered(502), 'unknown outcome_unknown', 'unknown server_error'],
  ['503', answered(503), 'unknown outcome_unknown', 'unknown server_error'],
  ['503, Retry-After', answered(503, 2_000), 'failed overloaded', 'failed overloaded'],
  ['504', answered(504), 'unknown outcome_unknown', 'unknown server_error'],
  ['nothing left', noAnswer(false), 'failed not_sent', 'failed not_sent'],
  ['no connection in time', noAnswer(false, true), 'failed not_sent', 'failed not_sent'],
  ['reset', noAnswer(true), 'unknown outcome_unknown', 'unknown server_error'],
  ['no answer in time', noAnswer(true, true), 'unknown outcome_unknown', 'unknown timeout'],
])('%s: %s', (_what, reply, once, again) => {
  expect([said(reply, false), said(reply, true)]).toEqual([once, again]);
});

function said(reply: Reply, idempotent: boolean): string {
  const end = classifyReply(reply, idempotent, 'webhook to crm');
  return end.state === 'done' ? 'done' : `${end.state} ${end.failure.class}`;
}

const anyReply = fc.oneof(
  fc
    .record({ status: fc.integer({ min: 300, max: 599 }), wait: fc.option(fc.nat(9_000)) })
    .map(({ status, wait }) => answered(status, wait)),
  fc
    .record({ left: fc.boolean(), timedOut: fc.boolean() })
    .map(({ left, timedOut }) => noAnswer(left, timedOut)),
);

it('what may not happen twice and may have happened is tried again by no policy', () => {
  fc.assert(
    fc.property(anyReply, (reply) => {
      const end = classifyReply(reply, false, 'webhook to crm');
      if (end.state !== 'unknown') return;
      expect(end.failure.class).toBe('outcome_unknown');
      expect(failureRules[end.failure.class].fate).toBe('needs_review');
    }),
  );
});

it('every failure is told as one of a webhook, and quotes nothing of the answer', () => {
  fc.assert(
    fc.property(anyReply, fc.boolean(), (reply, idempotent) => {
      const end = classifyReply(reply, idempotent, 'webhook to crm');
      if (end.state === 'done') return;
      expect(end.failure.code).toMatch(/^webhook_/);
      expect(end.failure.message).toMatch(/^webhook to crm: /);
      expect(end.failure.message).not.toContain('said something');
    }),
  );
});

it('says what a person needs: how long to wait, that nothing was sent, that it may have been done', () => {
  const busy = classifyReply(answered(429, 7_000), false, 'w');
  expect(busy).toMatchObject({ failure: { retryAfterMs: 7_000, httpStatus: 429 } });
  expect(classifyDeadSender('w')).toMatchObject({
    class: 'outcome_unknown',
    message: expect.stringContaining('it may have been carried out') as string,
  });
  expect(classifyNoRoute({ kind: 'refused', because: 'address_refused' }, 'w')).toMatchObject({
    ...{ class: 'configuration', code: 'webhook_address_refused' },
    message: expect.stringContaining('nothing was sent') as string,
  });
  expect(classifyNoRoute({ kind: 'not_found', cause: 'ENOTFOUND' }, 'w').class).toBe('not_sent');
});
