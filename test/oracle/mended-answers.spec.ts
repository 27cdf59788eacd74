import { mendedAnswers } from './mended-answers.js';

const spoilt = {
  ...{ responseId: 'resp_1', callId: 'c', runId: 'a', input: 'Which?', answer: '{"x":1}' },
  isSpoilt: true,
};
const repair = {
  ...spoilt,
  ...{ responseId: 'resp_2', callId: 'd', answer: '{"y":1}', isSpoilt: false },
  input: 'Which?\nYou said:\n{"x":1}\n/y is missing',
};

it('a call mends an answer whose question and words it holds', () => {
  expect([...mendedAnswers([repair, spoilt])]).toEqual([['resp_2', 'c']]);
});

it.each([
  ['the answer was not spoilt', [{ ...spoilt, isSpoilt: false }, repair]],
  ['it asks the same once more', [spoilt, { ...repair, input: spoilt.input }]],
  ['it does not hold the answer', [spoilt, { ...repair, input: 'Which?\nAgain, please.' }]],
  ['it asks something else', [spoilt, { ...repair, input: `What? ${repair.input}` }]],
  ['it is of another run', [spoilt, { ...repair, runId: 'b' }]],
  ['it is the same call', [spoilt, { ...repair, callId: 'c' }]],
])('it does not where %s', (_what, exchanges) => {
  expect([...mendedAnswers(exchanges)]).toEqual([]);
});
