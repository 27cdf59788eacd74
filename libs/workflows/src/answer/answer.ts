/**
 * One question, one call, one answer: the smallest workflows, and the quickest way to try things. `answer` asks in the
 * background, so that its call survives a crash of ours; `quick-answer` holds a request open, for answers wanted within
 * seconds.
 */
import { contract } from '../contract.js';
import { defineWorkflow } from '../define-workflow.js';
import type { ModelPrompt, Workflow } from '../workflow.js';
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

const ask = (limits: Pick<ModelPrompt, 'mode' | 'callTimeoutMs'>) =>
  callStep({
    name: 'ask',
    title: 'Asking the model',
    prompt: (ctx) => ({
      model: MODEL,
      instructions:
        'Answer the question. Be correct first, then brief. If you do not know, say so plainly.',
      input: input.require(ctx.input).question,
      maxOutputTokens: 4_000,
      ...limits,
      whenUnknown: 'hold',
    }),
    read: (output) => {
      // A refusal is an answer too, paid and final: it is delivered as such.
      const answer = output.text.trim();
      if (answer === '') return { kind: 'broken', problems: ['the model gave an empty answer'] };
      return { kind: 'read', value: { answer, refused: output.kind === 'refusal' } };
    },
  });

export const answer = answering('answer', 'Answer a question', {
  mode: 'background',
  callTimeoutMs: 300_000,
});

export const quickAnswer = answering('quick-answer', 'Answer a question within seconds', {
  mode: 'foreground',
  callTimeoutMs: 60_000,
});

function answering(
  name: string,
  title: string,
  limits: Pick<ModelPrompt, 'mode' | 'callTimeoutMs'>,
): Workflow {
  return defineWorkflow({
    name,
    version: 1,
    title,
    model: MODEL,
    inputSchema: input.schema,
    documents: { min: 0, max: 0, mediaTypes: [] },
    steps: [ask(limits)],
    result: result.schema,
    retry: {},
  });
}
