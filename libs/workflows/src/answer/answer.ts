/** `answer`: one question, one call, one answer. The smallest workflow, and the quickest way to try things. */
import { contract } from '../contract.js';
import { defineWorkflow } from '../define-workflow.js';
import { callStep } from '../steps.js';

const MODEL = 'gpt-5.2';

const input = contract({
  type: 'object',
  properties: { question: { type: 'string', minLength: 1, maxLength: 20_000 } },
  required: ['question'],
  additionalProperties: false,
});

const result = contract({
  type: 'object',
  properties: { answer: { type: 'string' }, refused: { type: 'boolean' } },
  required: ['answer', 'refused'],
  additionalProperties: false,
});

const ask = callStep({
  name: 'ask',
  title: 'Asking the model',
  prompt: (ctx) => ({
    model: MODEL,
    instructions:
      'Answer the question. Be correct first, then brief. If you do not know, say so plainly.',
    input: input.require(ctx.input).question,
    maxOutputTokens: 4_000,
    callTimeoutMs: 300_000,
    mode: 'background',
    whenUnknown: 'hold',
  }),
  read: (output) => {
    // A refusal is an answer too, paid and final: it is delivered as such.
    const answer = output.text.trim();
    if (answer === '') return { kind: 'broken', problems: ['the model gave an empty answer'] };
    return { kind: 'read', value: { answer, refused: output.kind === 'refusal' } };
  },
});

export const answer = defineWorkflow({
  name: 'answer',
  version: 1,
  title: 'Answer a question',
  model: MODEL,
  inputSchema: input.schema,
  documents: { min: 0, max: 0, mediaTypes: [] },
  steps: [ask],
  result: result.schema,
  retry: {},
});
