/** Pure; nothing stands in. A small workflow of each kind of step, carried out by hand. */
import { createStepContext, StepOutputMissingError } from './step-context.js';
import { callStep, computeStep, mapStep } from './steps.js';
import type { ModelText, Workflow } from './workflow.js';

const call = {
  model: 'gpt-5.2',
  instructions: 'Spell it.',
  maxOutputTokens: 100,
  callTimeoutMs: 1_000,
  mode: 'background',
  whenUnknown: 'hold',
} as const;
const textOf = (output: ModelText) => ({ kind: 'read', value: output.text }) as const;
const format = {
  name: 'spelling',
  schema: { type: 'object', properties: {}, required: [], additionalProperties: false },
};

let splits = 0;
const split = computeStep({
  name: 'split',
  title: 'Splitting',
  run: (ctx) => {
    splits += 1;
    return (ctx.documents[0]?.text ?? '').split(' ');
  },
});
const spell = mapStep({
  name: 'spell',
  title: 'Spelling',
  output: format,
  maxParallelItems: 2,
  items: (ctx) => ctx.outputOf(split).map((word, at) => ({ word, at })),
  label: ({ at }) => `word ${at}`,
  prompt: ({ word }) => ({ ...call, input: word }),
  read: (output, { at }) => ({ kind: 'read', value: { at, spelt: output.text } }),
});
const judge = callStep({
  name: 'judge',
  title: 'Judging',
  prompt: (ctx) => ({
    ...call,
    input: ctx
      .outputOf(spell)
      .map(({ spelt }) => spelt)
      .join(),
  }),
  read: textOf,
});
const join = computeStep({
  name: 'join',
  title: 'Joining',
  run: (ctx) => ({ words: ctx.outputOf(split).length, verdict: ctx.outputOf(judge) }),
});
const stranger = computeStep({ name: 'stranger', title: 'Elsewhere', run: () => 1 });

const workflow: Workflow = {
  name: 'spelling',
  version: 1,
  title: 'Spelling',
  model: 'gpt-5.2',
  inputSchema: {},
  documents: { min: 1, max: 1, mediaTypes: ['text/plain'] },
  steps: [split, spell, judge, join],
  result: {},
  retry: {},
};

const contextWith = (stored: Readonly<Record<string, unknown>>) =>
  createStepContext(workflow, {
    input: {},
    documents: [{ id: 'doc_1', fileName: null, mediaType: 'text/plain', text: 'one two' }],
    storedOutput: (name) => stored[name],
  });

describe('what a step sees', () => {
  it('computes a compute step when asked, once per context', () => {
    splits = 0;
    const ctx = contextWith({});
    expect(ctx.outputOf(split)).toEqual(['one', 'two']);
    ctx.outputOf(split);
    expect(splits).toBe(1);
    contextWith({}).outputOf(split);
    expect(splits).toBe(2);
  });

  it('prompts and reads each item of a map as what it is, with the output format of its step', () => {
    const ctx = contextWith({});
    const items = spell.items(ctx);
    expect(items.map((item) => item.label)).toEqual(['word 0', 'word 1']);
    expect(items.map((item) => spell.prompt(item, ctx))).toEqual([
      { ...call, input: 'one', output: format },
      { ...call, input: 'two', output: format },
    ]);
    expect(items.map((item) => spell.read({ kind: 'text', text: 'ok' }, item, ctx))).toEqual([
      { kind: 'read', value: { at: 0, spelt: 'ok' } },
      { kind: 'read', value: { at: 1, spelt: 'ok' } },
    ]);
  });

  it('reads calls and maps from check-points', () => {
    const ctx = contextWith({ spell: [{ at: 0, spelt: 'o-n-e' }], judge: 'fine' });
    expect(judge.prompt(ctx)).toEqual({ ...call, input: 'o-n-e' });
    expect(ctx.outputOf(join)).toEqual({ words: 2, verdict: 'fine' });
  });

  it('refuses a step that has not run, and one of another workflow', () => {
    expect(() => contextWith({}).outputOf(join)).toThrow(StepOutputMissingError);
    expect(() => contextWith({}).outputOf(join)).toThrow('step "judge"');
    expect(() => contextWith({}).outputOf(stranger)).toThrow('List the step in the workflow.');
  });
});
