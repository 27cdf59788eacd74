/** The one way to make a workflow: what is wrong with it is found when the process starts, not in a run. */
import { serviceTiers } from '#libs/domain';
import { compileSchema } from './schema/check-schema.js';
import type { JsonSchema } from './schema/json-schema.js';
import { strictSchemaProblems } from './schema/strict-schema.js';
import type { ModelOutputFormat, Step, Workflow } from './workflow.js';

export class WorkflowInvalidError extends Error {
  readonly code = 'workflow_invalid';
  readonly terminal = true;

  constructor(
    readonly workflow: string,
    readonly version: number,
    /** Each says where, what is wrong, and what to do. */
    readonly problems: readonly string[],
  ) {
    super(`Workflow "${workflow}" v${version} cannot be used: ${problems.join('; ')}.`);
    this.name = 'WorkflowInvalidError';
  }
}

export function defineWorkflow(workflow: Workflow): Workflow {
  const problems = workflowProblems(workflow);
  if (problems.length > 0) {
    throw new WorkflowInvalidError(workflow.name, workflow.version, problems);
  }
  return workflow;
}

const KEBAB_CASE = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const FORMAT_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const DOTTED = /^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$/;

function workflowProblems(workflow: Workflow): string[] {
  const { name, version, title, steps, documents } = workflow;
  return [
    ...unless(KEBAB_CASE.test(name), 'name: write it in kebab-case, as in "tender-compliance"'),
    ...unless(Number.isSafeInteger(version) && version > 0, 'version: count versions 1, 2, 3'),
    ...unless(title.trim() !== '', 'title: say in a few words what it does, for people'),
    ...unless(steps.length > 0, 'steps: list at least one'),
    ...unless(
      documents.min >= 0 && documents.max >= documents.min,
      'documents: let 0 <= min <= max hold',
    ),
    ...unless(
      documents.max === 0 || documents.mediaTypes.length > 0,
      'documents.mediaTypes: list what it can read, or let max be 0',
    ),
    ...inputProblems(workflow.inputSchema),
    ...schemaProblems('result', workflow.result),
    ...duplicates(steps.map((step) => step.name)).map(
      (twice) => `step "${twice}": two steps have this name; rename one`,
    ),
    ...steps.flatMap(stepProblems),
    ...effectProblems(workflow),
  ];
}

/**
 * What must hold so that an effect that may not happen twice does not: whether it may is said by its author, and where nobody
 * can know whether it happened, the run waits for a person. The rest is the processor's: steps run in their order, and no pass
 * goes back before a check-point.
 */
function effectProblems({ steps, retry }: Workflow): string[] {
  const held = steps.find((step) => step.kind === 'webhook' && !step.idempotent);
  return unless(
    held === undefined || retry.fates?.outcome_unknown !== 'failed',
    `retry.fates: leave "outcome_unknown" to a person, since step "${held?.name}" is not idempotent`,
  );
}

/** Input may leave fields out, but never bring unknown ones: a typing slip would be ignored in silence. */
function inputProblems(schema: JsonSchema): string[] {
  const closed = schema.type === 'object' && schema.additionalProperties === false;
  return [
    ...unless(closed, 'inputSchema: make it an object with "additionalProperties": false'),
    ...compileProblems('inputSchema', schema),
  ];
}

function schemaProblems(place: string, schema: JsonSchema): string[] {
  const strict = strictSchemaProblems(schema).map((problem) => `${place} ${problem}`);
  return [...strict, ...compileProblems(place, schema)];
}

function compileProblems(place: string, schema: JsonSchema): string[] {
  try {
    compileSchema(schema);
    return [];
  } catch (error) {
    return [
      `${place}: correct the schema (${error instanceof Error ? error.message : String(error)})`,
    ];
  }
}

function stepProblems(step: Step<unknown>): string[] {
  const own = [
    ...unless(KEBAB_CASE.test(step.name), 'name it in kebab-case'),
    ...unless(step.title.trim() !== '', 'give it a title for people who wait'),
    ...unless(
      step.kind !== 'map' ||
        (Number.isSafeInteger(step.maxParallelItems) && step.maxParallelItems > 0),
      'let maxParallelItems be 1 or more',
    ),
    ...unless(
      !('timeLimitMs' in step) ||
        step.timeLimitMs === undefined ||
        (Number.isSafeInteger(step.timeLimitMs) && step.timeLimitMs > 0),
      'let timeLimitMs be milliseconds, 1 or more, or leave it out',
    ),
  ];
  return [...own, ...policyProblems(step), ...webhookProblems(step)].map(
    (problem) => `step "${step.name}": ${problem}`,
  );
}

function webhookProblems(step: Step<unknown>): string[] {
  if (step.kind !== 'webhook') return [];
  return [
    ...unless(KEBAB_CASE.test(step.target), 'target: name the receiver in kebab-case'),
    ...unless(DOTTED.test(step.type), 'type: say what happened, as in "tender.matrix-ready"'),
    // Workflows may come from JavaScript, too: what is left out would be taken for "no".
    ...unless(
      typeof step.idempotent === 'boolean',
      'idempotent: say whether the receiver can take it twice, true or false',
    ),
  ];
}

/** A workflow may come from JavaScript, too: a word that is not known would be ignored, or refused by OpenAI in every run. */
function policyProblems(step: Step<unknown>): string[] {
  if (step.kind === 'compute' || step.kind === 'webhook') return [];
  const { output, repair, serviceTier, whenFlexIsFull } = step;
  return [
    ...(output === undefined ? [] : formatProblems(output)),
    ...unless(repair === undefined || repair === 'once', 'repair: write "once", or leave it out'),
    ...unless(
      serviceTier === undefined || serviceTiers.includes(serviceTier),
      `serviceTier: use one of ${serviceTiers.join(', ')}`,
    ),
    ...unless(
      whenFlexIsFull === undefined ||
        (serviceTier === 'flex' && ['wait', 'default'].includes(whenFlexIsFull)),
      'whenFlexIsFull: write "wait" or "default", with the serviceTier flex',
    ),
  ];
}

function formatProblems({ name, schema }: ModelOutputFormat): string[] {
  return [
    ...unless(FORMAT_NAME.test(name), 'output.name: use letters, digits, "_" and "-", at most 64'),
    ...schemaProblems('output.schema', schema),
  ];
}

const unless = (holds: boolean, problem: string): string[] => (holds ? [] : [problem]);

const duplicates = (names: readonly string[]): string[] => [
  ...new Set(names.filter((name, at) => names.indexOf(name) !== at)),
];
