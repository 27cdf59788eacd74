/** What a processor would say about one run, from its start to its result. */
import { randomUUID } from 'node:crypto';
import { wireTypeOf, type RunEvent, type RunEventBase, type RunEventName } from '#libs/contracts';
import { runIdOf, type RunStatus } from '#libs/domain';
import type { Message, ReceivedMessage } from '#libs/messaging';

export const failure = {
  class: 'throttled',
  code: 'rate_limit_exceeded',
  httpStatus: 429,
  requestId: 'req_1',
  responseId: null,
  message: 'Rate limit reached',
  fingerprint: 'f1',
  step: 'answer',
  item: null,
  itemsFailed: null,
} as const;
const usage = {
  calls: 2,
  inputTokens: 10,
  cachedInputTokens: 0,
  outputTokens: 5,
  reasoningTokens: 0,
};
export const result = { answer: 'Rayleigh\u0000 scattering \ud83d' };

const beganAtMs = Date.now() - 60_000;

type Chapter = readonly [name: RunEventName, status: RunStatus, fields?: object];

const chapters: readonly Chapter[] = [
  ['RunQueued', 'queued'],
  ['RunStarted', 'running'],
  ['RunProgressed', 'running', { progress: progress(1), waiting: null }],
  [
    'RunRetryScheduled',
    'retrying',
    {
      attempt: 2,
      nextAttemptAt: at(40),
      waiting: { reason: 'throttled', until: at(40) },
      failure: { ...failure, message: 'Rate limit\u0000 reached' },
    },
  ],
  ['RunStarted', 'running', { attempt: 2 }],
  ['RunProgressed', 'running', { attempt: 2, progress: progress(2), waiting: null }],
  [
    'RunCompleted',
    'completed',
    { attempt: 2, result, resultRef: 'cnt_x', usage, durationMs: 60_000 },
  ],
];

/** One message per version, in order. */
export function storyOf(runUuid: string): Message[] {
  return chapters.map(([name, status, fields], index) =>
    eventMessage(runUuid, name, { version: index + 1, status, occurredAt: at(index), ...fields }),
  );
}

export function eventMessage(
  runUuid: string,
  name: RunEventName,
  fields: Partial<RunEventBase> & Record<string, unknown>,
): Message {
  const runId = runIdOf(runUuid);
  const data = {
    runId,
    tenant: 'default',
    workflow: 'answer',
    workflowVersion: 1,
    attempt: 1,
    maxAttempts: 5,
    reference: null,
    labels: {},
    ...fields,
  } as unknown as RunEvent['data'];
  return {
    id: randomUUID(),
    source: '/holdfast/processor',
    type: wireTypeOf(name),
    subject: runId,
    time: new Date(),
    key: runId,
    data,
  };
}

let offset = 0;

/** As the consumer hands it over; each at a place of its own in the log. */
export function received(message: Message): ReceivedMessage {
  const position = { topic: 'spec', partition: 0, offset: String(offset++), timestamp: 0 };
  return { ...message, headers: {}, position };
}

function progress(stepsDone: number) {
  return { step: 'Answering', stepsDone, stepsTotal: 3, itemsDone: null, itemsTotal: null };
}

/** When that second of a story is: a minute ago. Were it long ago, an ended run would be removed as soon as the api sweeps. */
export function at(second: number): string {
  return new Date(beganAtMs + second * 1_000).toISOString();
}
