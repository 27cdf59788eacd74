import { parseRunEvent, parseRunRequested } from './parse-message.js';
import { RUN_REQUESTED } from './run-requested.js';
import { wireTypeOf } from './run-events.js';

const runId = 'run_01a20b5f-dc62-773a-a8a3-4675676e24ec';
const about = { runId, tenant: 'default', workflow: 'answer', workflowVersion: 1, labels: {} };
const request = {
  ...{ ...about, inputRef: 'cnt_x', documents: [], priority: 'batch' },
  ...{ deadlineAt: null, reference: null },
};
const failed = {
  ...{ ...about, version: 2, status: 'failed', occurredAt: '2026-01-01T00:00:00Z', durationMs: 1 },
  ...{ attempt: 1, maxAttempts: 5 },
  failure: { class: 'policy', code: 'c', message: 'm', fingerprint: 'f' },
  usage: { calls: 1, inputTokens: 1, cachedInputTokens: 0, outputTokens: 1, reasoningTokens: 0 },
};

const parsed = (data: unknown) => parseRunRequested({ type: RUN_REQUESTED, data });

it.each(['constructor', '__proto__', 'toString'])('a label may be called %s', (name) => {
  const labels = Object.fromEntries([[name, 'x']]);
  const read = parsed({ ...request, labels });
  expect(read).toMatchObject({ kind: 'parsed', value: request });
  expect(read.kind === 'parsed' && Object.entries(read.value.labels)).toEqual([[name, 'x']]);
});

it.each([
  '{"constructor":{}}',
  '{"constructor":"RunRequested"}',
  '{"__proto__":{"runId":"run_x"}}',
  '{"__proto__":null}',
])('%s beside the fields changes nothing of what the rules say', (json) => {
  const odd = JSON.parse(json) as object;
  expect(parsed({ ...odd, ...request })).toMatchObject({ kind: 'parsed', value: request });
  expect(parsed({ ...odd, ...request, tenant: 7 })).toMatchObject({
    kind: 'invalid',
    problems: [{ pointer: '/tenant' }],
  });
});

it('a part is held to its own rules', () => {
  const type = wireTypeOf('RunFailed');
  expect(parseRunEvent({ type, data: failed }).kind).toBe('parsed');
  const data = { ...failed, failure: { ...failed.failure, constructor: 1, httpStatus: 'x' } };
  expect(parseRunEvent({ type, data })).toMatchObject({
    kind: 'invalid',
    problems: [{ pointer: '/failure/httpStatus' }],
  });
});

it.each([[[]], [[[]]], [[{}]], ['x'], [7]])('%j in the place of a part is invalid', (odd) => {
  const data = { ...failed, failure: odd, usage: odd };
  expect(parseRunEvent({ type: wireTypeOf('RunFailed'), data })).toMatchObject({
    kind: 'invalid',
    problems: [{ pointer: '/failure' }, { pointer: '/usage' }],
  });
});

it('each part of a list is held to its own rules', () => {
  const spent = { day: '2026-11-26', model: 'm', calls: 1, inputTokens: 1, cachedInputTokens: 0 };
  const part = { ...spent, outputTokens: 1, bookedUsd: '1', uncertainUsd: '0', retriesUsd: '0' };
  const read = (spend: unknown) =>
    parseRunEvent({ type: wireTypeOf('RunFailed'), data: { ...failed, spend } });
  expect(read([part, part]).kind).toBe('parsed');
  expect(read([part, { ...part, bookedUsd: '-1' }])).toMatchObject({
    kind: 'invalid',
    problems: [{ pointer: '/spend/1/bookedUsd' }],
  });
  for (const odd of [part, 'x', [7], [[part]], [null]]) expect(read(odd).kind).toBe('invalid');
});

it('a field that is not known is kept for whoever knows it', () => {
  expect(parsed({ ...request, later: { a: 1 } })).toMatchObject({ value: { later: { a: 1 } } });
});
