import fc from 'fast-check';
import { defaultRetryPolicy, failureClasses } from '#libs/domain';
import { flexIsFull, type CallFailure, type NewestCall } from '#libs/openai-gateway';
import {
  afterBrokenAnswer,
  afterFailure,
  decideFirst,
  type Asking,
  type AskingPolicy,
} from './decide-asking.js';

const failure = (changes: Partial<CallFailure>): CallFailure => ({
  ...{ class: 'server_error', code: 'x', httpStatus: null, requestId: null, responseId: null },
  ...{ message: 'x', retryAfterMs: null, paid: 'no', breaker: 'none', ...changes },
});
const anyFailure = fc
  .oneof(
    fc.constantFrom(...failureClasses).map((failureClass) => ({ class: failureClass })),
    fc.constant({ class: 'overloaded', code: flexIsFull } as const),
  )
  .map(failure);
const anyPolicy: fc.Arbitrary<AskingPolicy> = fc.record({
  ...{ mayMend: fc.boolean(), hasLargerCap: fc.boolean(), mayLeaveFlex: fc.boolean() },
  retry: fc.constant(defaultRetryPolicy),
});

/** What becomes of a call: answered so that it can't be read, or failed. */
const anyEnd = fc.oneof(fc.constant('broken' as const), anyFailure);

/** The ledger, as the statement of `newestCalls` reads it. */
function newestOf(ends: readonly ('broken' | CallFailure | 'open')[]): NewestCall | undefined {
  if (ends.length === 0) return undefined;
  const last = ends.at(-1)!;
  const earlier = ends.slice(0, -1);
  const failures = earlier.filter((end) => typeof end === 'object');
  const answered = earlier.lastIndexOf('broken');
  return {
    ...{ item: 0, try: ends.length - 1, fence: 1n },
    state: last === 'broken' ? 'done' : last === 'open' ? 'accepted' : 'failed',
    endedWith: typeof last === 'object' ? last : null,
    answeredTry: answered === -1 ? null : answered,
    wasCut: failures.some((end) => end.class === 'partial_output'),
    wasFull: failures.some((end) => end.code === flexIsFull),
  };
}

const after = (end: 'broken' | CallFailure, asking: Asking, policy: AskingPolicy) =>
  end === 'broken' ? afterBrokenAnswer(asking, policy) : afterFailure(asking, end, policy);

it('whoever takes over puts the open call as its owner has put it', () => {
  fc.assert(
    fc.property(fc.array(anyEnd, { maxLength: 8 }), anyPolicy, (script, policy) => {
      const ends: ('broken' | CallFailure)[] = [];
      const first = decideFirst(undefined, false, policy);
      let asking = first.kind === 'ask' ? first.asking : null;
      for (const end of script) {
        if (asking === null) break;
        expect(decideFirst(newestOf([...ends, 'open']), false, policy)).toEqual({
          ...{ kind: 'ask', asking },
        });
        ends.push(end);
        const next = after(end, asking, policy);
        if (next !== null) {
          asking = next;
          continue;
        }
        if (end === 'broken') break; // a person decides
        const again = decideFirst(newestOf(ends), false, policy);
        asking = again.kind === 'ask' ? again.asking : null;
      }
    }),
    { numRuns: 2_000 },
  );
});

it('at most three more calls follow at once, whatever they come to, and none for what the step does not say', () => {
  fc.assert(
    fc.property(fc.array(anyEnd, { minLength: 8, maxLength: 8 }), anyPolicy, (script, policy) => {
      const first = decideFirst(undefined, false, policy);
      let asking = first.kind === 'ask' ? first.asking : null;
      let calls = 0;
      for (const end of script) {
        if (asking === null) break;
        calls += 1;
        asking = after(end, asking, policy);
      }
      const allowed = [policy.mayMend, policy.hasLargerCap, policy.mayLeaveFlex];
      expect(calls).toBeLessThanOrEqual(1 + allowed.filter(Boolean).length);
    }),
    { numRuns: 2_000 },
  );
});
