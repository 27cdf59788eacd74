/** Pure. The clock is the spec's. */
import type { Exchange } from './exchange.js';
import { OpenAiAnswers } from './openai-health.js';

const headers = new Headers();
const refused = (status: number): Exchange => ({
  ...{ kind: 'refused', status, isOpenAis: true, code: null, param: null, message: '' },
  ...{ headers, requestId: null },
});
const answered = { kind: 'answered', requestId: null, headers } as Exchange;
const silence: Exchange = {
  ...{ kind: 'no_answer', requestLeft: true, cause: 'UND_ERR_SOCKET', httpStatus: null },
  requestId: null,
};

let nowMs: number;
let answers: OpenAiAnswers;
beforeEach(() => {
  nowMs = 0;
  answers = new OpenAiAnswers(() => nowMs);
});
const fail = (asked: 'create' | 'follow', exchange: Exchange, times = 3) => {
  for (let time = 0; time < times; time += 1) answers.note(asked, exchange);
};

it.each([
  [refused(503), 'status 503'],
  [refused(429), 'status 429'],
  [refused(401), 'status 401'],
  [silence, 'UND_ERR_SOCKET'],
])('three requests in a row that fail are a problem, and two are none: %#', (exchange, word) => {
  fail('create', exchange, 2);
  expect(answers.health().problem).toBeNull();
  fail('create', exchange, 1);
  const words = `the last 3 requests failed (${word}): runs wait and are tried again`;
  expect(answers.health().problem).toBe(words);
});

it('what OpenAI says of one request alone is an answer', () => {
  fail('create', refused(503), 2);
  answers.note('create', refused(400));
  fail('create', refused(503), 2);
  expect(answers.health()).toEqual({ problem: null, answeredAgoMs: 0 });
});

it('calls that are followed as ever hide none that is not taken, nor the other way round', () => {
  for (const [failing, well] of [
    ['create', 'follow'],
    ['follow', 'create'],
  ] as const) {
    for (let time = 0; time < 3; time += 1) {
      answers.note(failing, refused(503));
      answers.note(well, answered);
    }
    expect(answers.health().problem).toMatch(/^the last 3 requests failed/);
    answers.note(failing, answered);
    expect(answers.health().problem).toBeNull();
  }
});

it('is forgotten where nobody has asked for longer than any run waits', () => {
  fail('follow', silence);
  nowMs = 10 * 60_000;
  expect(answers.health().problem).not.toBeNull();
  nowMs = 20 * 60_000;
  expect(answers.health().problem).toBeNull();
});
