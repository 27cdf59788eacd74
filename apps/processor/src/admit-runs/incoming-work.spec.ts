import { repeatHeaders, RUN_REQUESTED, workHeaders } from '#libs/contracts';
import type { ReceivedMessage } from '#libs/messaging';
import { workflows } from '#libs/workflows';
import { readWork } from './incoming-work.js';

const UUID = '0198a1de-0000-7000-8000-000000000001';
const runId = `run_${UUID}`;
const data = {
  runId,
  tenant: 'default',
  workflow: 'answer',
  workflowVersion: 1,
  inputRef: 'cnt_x',
  documents: [],
  priority: 'interactive',
  deadlineAt: '2026-01-01T00:00:00.000Z',
  reference: null,
  labels: { team: 'bids' },
};
const position = { topic: 'holdfast.run.requested.v1', partition: 3, offset: '41', timestamp: 17 };

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const aMessage = (changes: Partial<ReceivedMessage> = {}): ReceivedMessage => ({
  id: 'id',
  source: '/holdfast/api',
  type: RUN_REQUESTED,
  subject: runId,
  key: runId,
  time: new Date(0),
  headers: { [workHeaders.dispatch]: '1' },
  position,
  data,
  ...changes,
});
const withData = (changes: object) => aMessage({ data: { ...data, ...changes } });
const withHeaders = (headers: Record<string, string>) => aMessage({ headers });

describe('a work message that can be dispatched', () => {
  it('is read in the words of the row', () => {
    const read = readWork(aMessage({ traceparent: TRACE }), workflows);
    expect(read).toEqual({
      kind: 'work',
      work: {
        runId: UUID,
        dispatch: 1,
        hop: 0,
        seenVersion: null,
        request: data,
        model: workflows.find('answer', 1)?.model,
        maxAttempts: 5,
        traceparent: TRACE,
        origin: position,
        unworkable: null,
      },
    });
  });

  it('counts its dispatch and hop from the headers', () => {
    const read = readWork(
      withHeaders({ [workHeaders.dispatch]: '4', [workHeaders.hop]: '2' }),
      workflows,
    );
    expect(read).toMatchObject({ work: { dispatch: 4, hop: 2, traceparent: null } });
  });

  it('says what the api has seen, where it is sent again', () => {
    const again = { [workHeaders.dispatch]: '1', [repeatHeaders.reemission]: '7' };
    expect(readWork(withHeaders(again), workflows)).toMatchObject({ work: { seenVersion: 7 } });
    const nonsense = { [workHeaders.dispatch]: '1', [repeatHeaders.reemission]: 'x' };
    expect(readWork(withHeaders(nonsense), workflows)).toMatchObject({
      work: { seenVersion: null },
    });
  });

  it.each(['', 'a trace', `${TRACE}\0`, TRACE.repeat(10_000)])(
    'begins a new trace where its own cannot be read',
    (traceparent) => {
      expect(readWork(aMessage({ traceparent }), workflows)).toMatchObject({
        work: { traceparent: null },
      });
    },
  );

  it('may hold fields that this build does not know', () => {
    expect(readWork(withData({ later: true }), workflows).kind).toBe('work');
  });
});

describe('a work message of a workflow that this build lacks', () => {
  it.each([{ workflow: 'haiku' }, { workflowVersion: 99 }, { workflow: 'w'.repeat(200_000) }])(
    'is put before a person',
    (pinned) => {
      const read = readWork(withData(pinned), workflows);
      expect(read).toMatchObject({
        kind: 'work',
        work: { unworkable: { class: 'internal', code: 'workflow_unknown', httpStatus: null } },
      });
    },
  );
});

describe('a work message that no build like this one can dispatch', () => {
  const refusals: readonly [what: string, message: ReceivedMessage, code: string][] = [
    ['of another type', aMessage({ type: 'dev.holdfast.run.requested.v2' }), 'type_unknown'],
    ['without data', aMessage({ data: null }), 'data_invalid'],
    ['with a list for data', aMessage({ data: [] }), 'data_invalid'],
    ['without a tenant', withData({ tenant: '' }), 'data_invalid'],
    ['with a deadline that is no instant', withData({ deadlineAt: 'soon' }), 'data_invalid'],
    ['with a priority of its own', withData({ priority: 'urgent' }), 'data_invalid'],
    ['with labels that are no object', withData({ labels: 'x' }), 'data_invalid'],
    [
      'with a run id that only looks like one',
      { ...withData({ runId: `run_${'-'.repeat(36)}` }), key: `run_${'-'.repeat(36)}` },
      'key_mismatch',
    ],
    [
      'that leaves no room for what is said about it',
      withData({ reference: 'x'.repeat(256 * 1024) }),
      'request_too_large',
    ],
    ['under another key', aMessage({ key: 'run_0' }), 'key_mismatch'],
    ['without a dispatch', withHeaders({}), 'header_invalid'],
    ['of dispatch 0', withHeaders({ [workHeaders.dispatch]: '0' }), 'header_invalid'],
    ['of dispatch 1.5', withHeaders({ [workHeaders.dispatch]: '1.5' }), 'header_invalid'],
    [
      'with a hop below 0',
      withHeaders({ [workHeaders.dispatch]: '1', [workHeaders.hop]: '-1' }),
      'header_invalid',
    ],
  ];

  it.each(refusals)('%s is refused', (_what, message, code) => {
    expect(readWork(message, workflows)).toMatchObject({ kind: 'refused', code });
  });

  it('is refused with the place of every mistake, and without a word of its body', () => {
    const read = readWork(withData({ tenant: '', priority: 'secret' }), workflows);
    expect(read).toMatchObject({
      reason: expect.stringMatching(/\/tenant: .*; \/priority: /) as string,
    });
    expect(JSON.stringify(read)).not.toContain('secret');
  });
});
