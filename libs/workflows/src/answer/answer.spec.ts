/** Pure. What the model answers is made up here. */
import { checkSchema } from '../schema/check-schema.js';
import { createStepContext } from '../step-context.js';
import type { ModelText } from '../workflow.js';
import { answer } from './answer.js';

const ctx = createStepContext(answer, {
  input: { question: 'What is a bid bond?' },
  documents: [],
  storedOutput: () => undefined,
});
const [ask] = answer.steps;
const read = (output: ModelText) => {
  if (ask?.kind !== 'call') throw new Error('answer is one call');
  return ask.read(output, ctx);
};

describe('the answer workflow', () => {
  it('asks the question as it stands', () => {
    expect(ask?.kind === 'call' && ask.prompt(ctx).input).toBe('What is a bid bond?');
  });

  it.each<[ModelText, { answer: string; refused: boolean }]>([
    [
      { kind: 'text', text: ' A guarantee.\n' },
      { answer: 'A guarantee.', refused: false },
    ],
    [
      { kind: 'refusal', text: 'I cannot say.' },
      { answer: 'I cannot say.', refused: true },
    ],
  ])('delivers %j, also a refusal, within its contract', (output, value) => {
    expect(read(output)).toEqual({ kind: 'read', value });
    expect(checkSchema(answer.result, value)).toEqual([]);
  });

  it('does not take silence for an answer', () => {
    expect(read({ kind: 'text', text: ' ' })).toMatchObject({ kind: 'broken' });
  });

  it.each([
    [{}, '/question'],
    [{ question: '' }, '/question'],
    [{ question: 'x'.repeat(20_001) }, '/question'],
    [{ question: 'x', model: 'y' }, '/model'],
  ])('refuses the input %#', (input, pointer) => {
    expect(checkSchema(answer.inputSchema, input).map((problem) => problem.pointer)).toEqual([
      pointer,
    ]);
  });
});
