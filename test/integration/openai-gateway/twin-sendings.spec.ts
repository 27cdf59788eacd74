/**
 * A call that was sent again while its first sending was still on the way (`whenUnknown: resend`): the ledger follows one of the
 * two responses, and what becomes of the other changes nothing.
 * Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI (dev/simulator).
 */
import { callIdOf } from '#libs/openai-gateway';
import type { Fault } from '../../../dev/simulator/faults.js';
import { anOwner, aRequest, gatewayFixture, until } from '../../support/gateway.js';

const fixture = gatewayFixture();

/** The first sending goes as `first` says; meanwhile another owner sends again, and his response takes until it is finished. */
async function sendTwice(first: Fault, requestTimeoutMs: number) {
  const request = aRequest({ whenUnknown: 'resend' });
  const callId = callIdOf(request);
  const match = { runId: request.runId };
  fixture.simulator.addFaults([
    { match, fault: first },
    { match, fault: { kind: 'latency', ms: 60_000 } },
  ]);
  const slow = fixture.gateway({ requestTimeoutMs }).callModel(request, anOwner(1n));
  await until('the first sending', () =>
    fixture.simulator.requests().some((one) => one.callId === callId),
  );
  const quick = fixture.gateway().callModel(request, anOwner(2n));
  await until('the second is accepted', async () => {
    return (await fixture.ledgerRow(callId)).state === 'accepted';
  });
  const { response_id: followed } = await fixture.ledgerRow(callId);
  return { callId, slow, quick, followed };
}

it('a first sending that comes to nothing later does not end the second', async () => {
  const { callId, slow, quick, followed } = await sendTwice({ kind: 'hang', ms: 60_000 }, 1_500);
  expect(await slow).toEqual({ kind: 'not_owner' });
  expect(await fixture.ledgerRow(callId)).toMatchObject({
    ...{ state: 'accepted', response_id: followed, attempt_count: 2, possible_duplicate: true },
  });
  fixture.simulator.finish();
  expect(await quick).toMatchObject({ kind: 'completed', responseId: followed });
});

it('a first sending that is answered later is cancelled, and the second followed', async () => {
  const { callId, slow, quick, followed } = await sendTwice({ kind: 'hang', ms: 1_500 }, 60_000);
  expect(await slow).toEqual({ kind: 'not_owner' });
  fixture.simulator.finish();
  expect(await quick).toMatchObject({ kind: 'completed', responseId: followed });
  const operations = fixture.simulator.requests().filter((one) => one.callId === callId);
  const cancelled = operations.filter((one) => one.operation === 'cancel');
  expect(cancelled).toHaveLength(1);
  expect(cancelled[0]?.responseId).not.toBe(followed);
});
