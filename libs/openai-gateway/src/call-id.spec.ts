import fc from 'fast-check';
import { callIdOf, type CallIdentity } from './call-id.js';

const identity: fc.Arbitrary<CallIdentity> = fc.record({
  tenant: fc.string(),
  runId: fc.uuid(),
  step: fc.nat(50),
  item: fc.nat(500),
  try: fc.nat(20),
});

it('is the same for the same call, whoever asks and however the run id is spelt', () => {
  fc.assert(
    fc.property(identity, (call) => {
      expect(callIdOf({ ...call })).toBe(callIdOf(call));
      expect(callIdOf({ ...call, runId: call.runId.toUpperCase() })).toBe(callIdOf(call));
    }),
  );
});

it('differs where any part differs', () => {
  fc.assert(
    fc.property(identity, identity, (one, other) => {
      fc.pre(JSON.stringify(one) !== JSON.stringify(other));
      expect(callIdOf(one)).not.toBe(callIdOf(other));
    }),
  );
});

it('never changes between versions: calls in flight during an upgrade would be lost and paid again', () => {
  const call = {
    tenant: 'default',
    runId: '0198f5ae-1111-7000-8000-000000000001',
    step: 1,
    item: 7,
    try: 2,
  };
  expect(callIdOf(call)).toBe('7ed08da3-c750-5873-b86e-c2ab975c43a6');
});
