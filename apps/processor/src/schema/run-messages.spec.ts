import {
  parseRunEvent,
  parseRunRequested,
  parseWorkPosition,
  retryTopics,
  topics,
  workHeaders,
} from '#libs/contracts';
import { nanoUsd, type RunFailure } from '#libs/domain';
import type { ExecutionRow } from './execution.js';
import {
  deadLetterMessage,
  retryMessage,
  runEventMessage,
  type RunChangeEvent,
} from './run-messages.js';

const NOW = new Date('2026-01-01T00:00:10.000Z');
const at = (ms: number) => new Date(NOW.getTime() + ms);
const runId = 'run_0198a1de-0000-7000-8000-000000000001';

const failure: RunFailure = {
  class: 'throttled',
  code: 'rate_limit_exceeded',
  httpStatus: 429,
  requestId: 'req_1',
  responseId: 'resp_1',
  message: 'Rate limit reached',
  fingerprint: 'f00d',
  step: 'extract',
  item: 4,
  itemsFailed: 2,
};
const row: ExecutionRow = {
  run_id: runId.slice(4),
  tenant: 'bids',
  model: 'gpt-5.2',
  priority: 0,
  workflow: 'answer',
  workflow_version: 1,
  request: {
    runId,
    tenant: 'bids',
    workflow: 'answer',
    workflowVersion: 1,
    inputRef: 'cnt_x',
    documents: ['doc_x'],
    priority: 'interactive',
    deadlineAt: null,
    reference: 'T-17',
    labels: { team: 'north' },
  },
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  origin: { topic: 'holdfast.run.requested.v1', partition: 5, offset: '99', timestamp: 1_700 },
  status: 'retrying',
  dispatch: 3,
  hop: 1,
  attempt: 2,
  max_attempts: 5,
  tries: 4,
  first_failed_at: at(-60_000),
  next_attempt_at: at(31_000),
  deadline_at: null,
  version: 9,
  newest_event: 'RunRetryScheduled',
  newest_event_id: '0198a1de-0000-7000-8000-00000000000e',
  newest_event_at: NOW,
  told_waiting_for: 'throttled',
  told_waiting_until: at(31_000),
  told_waiting_because: null,
  parked: false,
  owner: null,
  fence: 6n,
  lost_leases: 0,
  cancel_requested: false,
  redriven_fence: null,
  progress: { step: 'Answering', stepsDone: 0, stepsTotal: 1, itemsDone: null, itemsTotal: null },
  failure,
  result_ref: 'cnt_result',
  admitted_at: at(-5_000),
  started_at: at(-4_000),
  expired_at: null,
};
const spent = {
  ...{ day: '2026-11-26', model: 'gpt-5.2', calls: 3, counted: 2 },
  ...{ booked: nanoUsd(1_500_000n), uncertain: nanoUsd(2n), retries: nanoUsd(0n) },
  inputTokens: 10,
  cachedInputTokens: 0,
  outputTokens: 5,
  reasoningTokens: 1,
};
const facts = {
  id: '0198a1de-0000-7000-8000-00000000000e',
  waiting: { reason: 'throttled', until: at(31_000).toISOString() },
  spent: [spent],
  result: null,
  now: NOW,
} as const;

const workCounters = {
  [workHeaders.dispatch]: '3',
  [workHeaders.hop]: '1',
  [workHeaders.attempt]: '2',
  [workHeaders.maxAttempts]: '5',
  [workHeaders.notBefore]: String(at(31_000).getTime()),
  [workHeaders.firstFailedAt]: String(at(-60_000).getTime()),
  [workHeaders.originalTopic]: 'holdfast.run.requested.v1',
  [workHeaders.originalPartition]: '5',
  [workHeaders.originalOffset]: '99',
  [workHeaders.originalTimestamp]: '1700',
};
const lastFailure = {
  [workHeaders.errorClass]: 'throttled',
  [workHeaders.errorCode]: 'rate_limit_exceeded',
  [workHeaders.errorMessage]: 'Rate limit reached',
  [workHeaders.errorHttpStatus]: '429',
  [workHeaders.errorRequestId]: 'req_1',
  [workHeaders.errorResponseId]: 'resp_1',
  [workHeaders.errorFingerprint]: 'f00d',
};

describe('an event of a run', () => {
  const names: readonly [RunChangeEvent, ExecutionRow['status'], string][] = [
    ['RunQueued', 'ready', 'queued'],
    ['RunWaiting', 'ready', 'queued'],
    ['RunStarted', 'running', 'running'],
    ['RunProgressed', 'running', 'running'],
    ['RunRetryScheduled', 'retrying', 'retrying'],
    ['RunNeedsReview', 'needs_review', 'needs_review'],
    ['RunCompleted', 'completed', 'completed'],
    ['RunFailed', 'failed', 'failed'],
    ['RunCancelled', 'cancelled', 'cancelled'],
  ];

  it.each(names)('%s can be read by its own contract', (name, status, seenAs) => {
    const { topic, message } = runEventMessage(name, { ...row, status }, facts);
    expect(topic).toBe(topics.runEvents);
    expect(parseRunEvent(message)).toMatchObject({
      kind: 'parsed',
      value: { name, data: { runId, version: 9, status: seenAs, occurredAt: NOW.toISOString() } },
    });
  });

  it('is keyed by the run, so that its events keep their order, and stays in its trace', () => {
    const { message } = runEventMessage('RunStarted', row, facts);
    expect(message).toMatchObject({
      key: runId,
      subject: runId,
      correlationId: runId,
      traceparent: row.traceparent,
      time: NOW,
    });
    const untraced = runEventMessage('RunStarted', { ...row, traceparent: null }, facts);
    expect(untraced.message).not.toHaveProperty('traceparent');
  });

  it('holds a result only where it is small enough to travel', () => {
    const done = { ...row, status: 'completed' } as const;
    const small = runEventMessage('RunCompleted', done, { ...facts, result: { answer: 42 } });
    expect(small.message.data).toMatchObject({ result: { answer: 42 }, resultRef: 'cnt_result' });
    const large = runEventMessage('RunCompleted', done, facts);
    expect(large.message.data).not.toHaveProperty('result');
    expect(large.message.data).toMatchObject({
      durationMs: 5_000,
      usage: { calls: 2, inputTokens: 10, outputTokens: 5 },
      cost: { bookedUsd: '0.0015', uncertainUsd: '0.000000002', maxCostUsd: null },
      spend: [{ day: '2026-11-26', model: 'gpt-5.2', calls: 3, bookedUsd: '0.0015' }],
    });
  });

  it('that lacks what it has to tell is not told at all', () => {
    const telling = (name: RunChangeEvent, changes: Partial<ExecutionRow>) => () =>
      runEventMessage(name, { ...row, ...changes }, facts);
    const incomplete = expect.objectContaining({ code: 'run_event_incomplete' }) as Error;
    expect(telling('RunProgressed', { progress: null })).toThrow(incomplete);
    expect(telling('RunRetryScheduled', { next_attempt_at: null })).toThrow(incomplete);
    expect(telling('RunNeedsReview', { failure: null })).toThrow(incomplete);
    expect(telling('RunCompleted', { result_ref: null })).toThrow(incomplete);
    expect(telling('RunFailed', { failure: null })).toThrow(incomplete);
  });
});

describe('a retry', () => {
  it('is the request itself, by the tier that fits, with all that admits and explains it', () => {
    const { topic, message } = retryMessage(row, NOW);
    expect(topic).toBe('holdfast.run.requested.v1.retry.30s');
    expect(message.headers).toEqual({ ...workCounters, ...lastFailure });
    expect(parseRunRequested(message)).toEqual({ kind: 'parsed', value: row.request });
    expect(parseWorkPosition(message.headers!)).toEqual({
      kind: 'parsed',
      position: { dispatch: 3, hop: 1, notBeforeMs: at(31_000).getTime() },
    });
  });

  it.each([
    [0, '5s'],
    [5_000, '5s'],
    [29_999, '5s'],
    [30_000, '30s'],
    [120_000, '2m'],
    [599_999, '2m'],
    [7_200_000, '10m'],
  ])('due in %i ms takes the tier of %s', (waitMs, tier) => {
    const { topic } = retryMessage({ ...row, next_attempt_at: at(waitMs) }, NOW);
    expect(topic).toBe(`${topics.runRequested}.retry.${tier}`);
    expect(retryTopics.map((each) => each.topic)).toContain(topic);
  });

  it('says only what is known of its last failure', () => {
    const unknown = { ...failure, httpStatus: null, requestId: null, responseId: null };
    const { message } = retryMessage({ ...row, failure: unknown }, NOW);
    expect(Object.keys(message.headers!).filter((name) => name.includes('error'))).toEqual([
      workHeaders.errorClass,
      workHeaders.errorCode,
      workHeaders.errorMessage,
      workHeaders.errorFingerprint,
    ]);
  });
});

describe('a dead letter', () => {
  const stopped: ExecutionRow = { ...row, status: 'needs_review', next_attempt_at: null };

  it('carries its counters, its origin and its failure, in our words and in those of Spring Kafka', () => {
    const { topic, message } = deadLetterMessage(stopped, 'host.42.f00d', NOW);
    const { [workHeaders.notBefore]: _notBefore, ...counters } = workCounters;
    expect(topic).toBe(topics.runRequestedDeadLetters);
    expect(message.headers).toEqual({
      ...counters,
      ...lastFailure,
      'x-holdfast-worker': 'host.42.f00d',
      'kafka_dlt-original-topic': 'holdfast.run.requested.v1',
      'kafka_dlt-original-partition': '5',
      'kafka_dlt-original-offset': '99',
      'kafka_dlt-exception-fqcn': 'holdfast.throttled',
      'kafka_dlt-exception-message': 'Rate limit reached',
    });
  });

  it('names no worker where nobody has held the run yet', () => {
    const { message } = deadLetterMessage(stopped, null, NOW);
    expect(message.headers).not.toHaveProperty('x-holdfast-worker');
  });

  it('can be sent again as it is', () => {
    const { message } = deadLetterMessage(stopped, null, NOW);
    expect(parseRunRequested(message)).toEqual({ kind: 'parsed', value: row.request });
  });

  it('holds references and no payload', () => {
    const said = JSON.stringify(deadLetterMessage(stopped, null, NOW).message);
    expect(said).not.toContain('cnt_result');
    expect(Object.keys(stopped.request).sort()).toEqual(
      Object.keys(deadLetterMessage(stopped, null, NOW).message.data as object).sort(),
    );
  });
});

it('no two messages share an id; an event has the one that its row remembers', () => {
  const messages = [
    retryMessage(row, NOW),
    deadLetterMessage(row, null, NOW),
    retryMessage(row, NOW),
    runEventMessage('RunStarted', row, facts),
  ];
  expect(new Set(messages.map(({ message }) => message.id)).size).toBe(4);
  expect(messages.at(-1)!.message.id).toBe(facts.id);
});
