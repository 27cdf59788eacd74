/** Pure; nothing stands in. Each row breaks one rule of a workflow that is otherwise sound. */
import { defineWorkflow, WorkflowInvalidError } from './define-workflow.js';
import { callStep, computeStep, mapStep, webhookStep } from './steps.js';
import type { Workflow } from './workflow.js';

const strict = {
  type: 'object',
  properties: { a: { type: 'string' } },
  required: ['a'],
  additionalProperties: false,
};
const loose = { type: 'object', properties: { a: { type: 'string' } } };

const last = computeStep({ name: 'last', title: 'Finishing', run: () => ({ a: 'x' }) });
const mapping = (changes: {
  output?: { name: string; schema: object };
  maxParallelItems?: number;
  timeLimitMs?: number;
}) =>
  mapStep({
    name: 'each',
    title: 'Reading each',
    maxParallelItems: changes.maxParallelItems ?? 2,
    ...(changes.timeLimitMs === undefined ? {} : { timeLimitMs: changes.timeLimitMs }),
    ...(changes.output === undefined
      ? {}
      : { output: changes.output as { name: string; schema: typeof strict } }),
    items: () => [1],
    label: String,
    prompt: () => {
      throw new Error('not asked here');
    },
    read: () => ({ kind: 'read', value: 1 }),
  });
const asking = callStep({
  ...{ name: 'ask', title: 'Asking' },
  prompt: () => {
    throw new Error('not asked here');
  },
  read: () => ({ kind: 'read', value: 1 }),
});
const telling = (changes: Partial<Parameters<typeof webhookStep>[0]> = {}) =>
  webhookStep({
    ...{ name: 'tell', title: 'Telling them', target: 'back-office', type: 'tender.read' },
    ...{ idempotent: false, data: () => ({}), ...changes },
  });
const sound: Workflow = {
  name: 'sound',
  version: 1,
  title: 'A sound workflow',
  model: 'gpt-5.2',
  inputSchema: { type: 'object', properties: {}, additionalProperties: false },
  documents: { min: 0, max: 1, mediaTypes: ['text/plain'] },
  steps: [last],
  result: strict,
  retry: {},
};

const problemsOf = (changes: Partial<Workflow>): string => {
  try {
    defineWorkflow({ ...sound, ...changes });
  } catch (error) {
    if (error instanceof WorkflowInvalidError) return error.message;
    throw error;
  }
  return 'none';
};

describe('defining a workflow', () => {
  it('gives a sound one back', () => {
    expect(defineWorkflow(sound)).toBe(sound);
  });

  it.each<[string, Partial<Workflow>, string]>([
    ['a name that is no kebab-case', { name: 'Tender_Compliance' }, 'name: write it in kebab-case'],
    ['version 0', { version: 0 }, 'version: count versions 1, 2, 3'],
    ['a broken version', { version: 1.5 }, 'version: count versions'],
    ['no title', { title: ' ' }, 'title: say in a few words'],
    ['no step', { steps: [] }, 'steps: list at least one'],
    [
      'two steps of one name',
      { steps: [last, last] },
      'step "last": two steps have this name; rename one',
    ],
    ['a step without a title', { steps: [{ ...last, title: '' }] }, 'step "last": give it a title'],
    [
      'a step name with spaces',
      { steps: [{ ...last, name: 'the last' }] },
      'step "the last": name it in kebab-case',
    ],
    [
      'a map that may run nothing',
      { steps: [mapping({ maxParallelItems: 0 })] },
      'step "each": let maxParallelItems be 1 or more',
    ],
    [
      'a step without any time',
      { steps: [mapping({ timeLimitMs: 0 })] },
      'step "each": let timeLimitMs be milliseconds, 1 or more, or leave it out',
    ],
    [
      'more documents at least than at most',
      { documents: { min: 2, max: 1, mediaTypes: ['text/plain'] } },
      '0 <= min <= max',
    ],
    [
      'documents of no type',
      { documents: { min: 0, max: 1, mediaTypes: [] } },
      'documents.mediaTypes: list what it can read',
    ],
    [
      'input that may bring anything',
      { inputSchema: loose },
      'inputSchema: make it an object with "additionalProperties": false',
    ],
    ['a loose result', { result: loose }, 'result #: set "additionalProperties": false'],
    [
      'a result with an optional key',
      { result: { ...strict, required: [] } },
      'result #: list "a" in "required"',
    ],
    [
      'a schema that does not compile',
      { result: { ...strict, properties: { a: { type: 'strng' } } } },
      'result: correct the schema',
    ],
    [
      'a loose answer of a map',
      { steps: [mapping({ output: { name: 'x', schema: loose } })] },
      'step "each": output.schema #: set',
    ],
    [
      'a format name that OpenAI refuses',
      { steps: [mapping({ output: { name: 'x y', schema: strict } })] },
      'step "each": output.name: use letters',
    ],
    [
      'a receiver that is no name',
      { steps: [telling({ target: 'https://example.com' })] },
      'step "tell": target: name the receiver in kebab-case',
    ],
    [
      'a type of event with spaces',
      { steps: [telling({ type: 'it happened' })] },
      'step "tell": type: say what happened',
    ],
    [
      'a service tier that OpenAI does not have',
      { steps: [{ ...asking, serviceTier: 'turbo' as 'flex' }, last] },
      'step "ask": serviceTier: use one of default, flex, priority',
    ],
    [
      'a word about flex for another tier',
      { steps: [{ ...asking, whenFlexIsFull: 'default' }, last] },
      'whenFlexIsFull: write "wait" or "default", with the serviceTier flex',
    ],
    [
      'a repair without an end',
      { steps: [{ ...asking, repair: 'always' as 'once' }, last] },
      'step "ask": repair: write "once", or leave it out',
    ],
    [
      'an effect of which nobody has said whether it may happen twice',
      { steps: [{ ...telling(), idempotent: undefined as unknown as boolean }] },
      'step "tell": idempotent: say whether',
    ],
    [
      'an end without a person where nobody knows whether the effect happened',
      { steps: [telling(), last], retry: { fates: { outcome_unknown: 'failed' } } },
      'retry.fates: leave "outcome_unknown" to a person, since step "tell" is not idempotent',
    ],
  ])('refuses %s, and says how to mend it', (_what, changes, problem) => {
    expect(problemsOf(changes)).toContain(problem);
  });

  it('lets a run end by itself where its only effects may happen twice', () => {
    const steps = [telling({ idempotent: true }), last];
    expect(problemsOf({ steps, retry: { fates: { outcome_unknown: 'failed' } } })).toBe('none');
  });

  it('refuses a loose answer of a call', () => {
    const call = callStep({
      name: 'ask',
      title: 'Asking',
      output: { name: 'x', schema: loose },
      prompt: () => {
        throw new Error('not asked here');
      },
      read: (output) => ({ kind: 'read', value: output.text }),
    });
    expect(problemsOf({ steps: [call] })).toContain('step "ask": output.schema #: set');
  });

  it('names the workflow, its version and every problem at once', () => {
    const message = problemsOf({ title: '', steps: [], version: 0 });
    expect(message).toMatch(/^Workflow "sound" v0 cannot be used: /);
    expect(message).toContain('version:');
    expect(message).toContain('title:');
    expect(message).toContain('steps:');
  });
});
