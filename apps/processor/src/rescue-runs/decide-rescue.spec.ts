import type { ExecutionRow } from '../schema/index.js';
import { decideRescue } from './decide-rescue.js';

const row = {
  run_id: '0198a1de-0000-7000-8000-000000000001',
  workflow: 'tender-compliance',
  status: 'running',
  fence: 7n,
  attempt: 2,
  tries: 3,
  owner: 'host.1.aa',
  progress: { step: 'Extracting', stepsDone: 1, stepsTotal: 3, itemsDone: 1, itemsTotal: 9 },
} as unknown as ExecutionRow;
const rescueAfter = (lostBefore: number, changes: Partial<ExecutionRow> = {}) =>
  decideRescue({ ...row, lost_leases: lostBefore, ...changes }, false);

describe('a run whose lease has run out', () => {
  it('is ready again at once after the first loss, with its attempt unchanged', () => {
    expect(rescueAfter(0)).toMatchObject({
      to: 'ready',
      event: null,
      lostLeases: 1,
      attempt: 2,
      tries: 3,
      dispatch: 'same',
      failure: null,
    });
  });

  it('comes back by the first retry tier after the second: its worker may have died of it', () => {
    expect(rescueAfter(1)).toMatchObject({
      to: 'retrying',
      event: 'RunRetryScheduled',
      lostLeases: 2,
      attempt: 2,
      dispatch: 'sent_again',
      delayMs: 5_000,
      waitingFor: 'backoff',
      failure: { class: 'lease_lost', step: 'Extracting' },
    });
  });

  it.each([2, 3, 17])('goes to a person after %i losses before it', (lostBefore) => {
    expect(rescueAfter(lostBefore)).toMatchObject({
      to: 'needs_review',
      event: 'RunNeedsReview',
      dispatch: 'same',
      delayMs: null,
      failure: {
        class: 'lease_lost',
        message: `${lostBefore + 1} workers in a row stopped while they held this run, the last was host.1.aa`,
      },
    });
  });

  it('is only changed where it still stands under the fence that has run out', () => {
    for (const lostBefore of [0, 1, 2]) {
      expect(rescueAfter(lostBefore)).toMatchObject({ from: 'running', fence: 7n });
    }
  });

  it('is grouped with its like, whoever held it and however often', () => {
    const fingerprints = [
      rescueAfter(1).failure?.fingerprint,
      rescueAfter(2, { owner: 'other.2.bb' }).failure?.fingerprint,
    ];
    expect(fingerprints[0]).toBe(fingerprints[1]);
    expect(rescueAfter(1, { workflow: 'answer' }).failure?.fingerprint).not.toBe(fingerprints[0]);
  });
});

describe('a run that is to be cancelled and whose lease has run out', () => {
  const cancelling = { ...row, cancel_requested: true, lost_leases: 2 };

  it('ends, however many leases were lost, where no call of it is open', () => {
    expect(decideRescue(cancelling, false)).toMatchObject({
      ...{ to: 'cancelled', event: 'RunCancelled', endedAs: 'lease_lost' },
    });
  });

  it('is ready at once, and not for a person, where a call may still be running', () => {
    expect(decideRescue(cancelling, true)).toMatchObject({
      ...{ to: 'ready', event: null, delayMs: null, lostLeases: 2, endedAs: 'lease_lost' },
    });
  });
});
