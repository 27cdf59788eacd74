import fc from 'fast-check';
import { isTerminal, runStatuses, type RunStatus } from '../run/run-status.js';
import { findTransition } from '../run/run-transitions.js';
import { decisionNames, type DecisionName } from './decision.js';
import { decideDecision, decideEarlyDecision, type DecisionFacts } from './decide-decision.js';

const able = { hasOpenCall: false, hasWorkflow: true, result: 'fits' } as const;

function ruling(decision: DecisionName, status: RunStatus | null, facts = {}): string {
  const decided = decideDecision({ decision, status, ...able, ...facts });
  switch (decided.kind) {
    case 'apply':
      return decided.trigger;
    case 'refuse':
      return decided.code;
    default:
      return decided.kind;
  }
}

const anyFacts: fc.Arbitrary<DecisionFacts & { readonly status: RunStatus }> = fc.record({
  decision: fc.constantFrom(...decisionNames),
  status: fc.constantFrom(...runStatuses),
  hasOpenCall: fc.boolean(),
  hasWorkflow: fc.boolean(),
  result: fc.constantFrom('fits', 'breaks', 'unread'),
});

describe('what becomes of a decision', () => {
  const ended = 'run_already_ended';
  const elsewhere = 'run_not_in_review';
  it.each<[DecisionName, Record<RunStatus, string>]>([
    [
      'cancel',
      {
        queued: 'cancelled',
        running: 'tell_owner',
        retrying: 'cancelled',
        needs_review: 'cancelled',
        completed: ended,
        failed: ended,
        cancelled: 'already_so',
      },
    ],
    ...(['redrive', 'discard', 'complete'] as const).map(
      (decision): [DecisionName, Record<RunStatus, string>] => [
        decision,
        {
          queued: elsewhere,
          running: elsewhere,
          retrying: elsewhere,
          needs_review: {
            redrive: 'redriven',
            discard: 'discarded',
            complete: 'completed_by_hand',
          }[decision],
          completed: ended,
          failed: ended,
          cancelled: ended,
        },
      ],
    ),
  ])('%s, in each state', (decision, expected) => {
    const found = runStatuses.map((status) => [status, ruling(decision, status)]);
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  it('waits, whatever it is, for a run that is not known yet; then only a cancel is honoured', () => {
    for (const decision of decisionNames) {
      expect(ruling(decision, null)).toBe('keep_for_request');
      const early = decideEarlyDecision(decision);
      expect(early.kind).toBe(decision === 'cancel' ? 'apply' : 'refuse');
    }
  });

  it('never ends a run by a cancel while a call of it may be running', () => {
    for (const status of ['queued', 'retrying', 'needs_review'] as const) {
      expect(ruling('cancel', status, { hasOpenCall: true })).toBe('close_calls_first');
    }
    expect(ruling('cancel', 'running', { hasOpenCall: true })).toBe('tell_owner');
  });

  it('sends nothing on that this build cannot carry, and takes no result that breaks its contract', () => {
    const without = { hasWorkflow: false };
    expect(ruling('redrive', 'needs_review', without)).toBe('workflow_unknown');
    expect(ruling('complete', 'needs_review', without)).toBe('workflow_unknown');
    expect(ruling('discard', 'needs_review', without)).toBe('discarded');
    expect(ruling('complete', 'needs_review', { result: 'breaks' })).toBe('result_invalid');
    expect(ruling('complete', 'needs_review', { result: 'unread' })).toBe('run_unknown');
  });

  it('makes only transitions of the table, and none out of an ended run', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const decided = decideDecision(facts);
        if (decided.kind !== 'apply') return;
        expect(isTerminal(facts.status)).toBe(false);
        expect(findTransition(facts.status, decided.trigger)).toBeDefined();
      }),
    );
  });
});
