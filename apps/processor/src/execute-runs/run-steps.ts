/** One pass over a run's steps, in order; what is check-pointed is not done again. */
import type { RunProgress } from '#libs/domain';
import { checkSchema, type Step } from '#libs/workflows';
import type { ExecuteTools } from './execute-tools.js';
import type { Lease } from './keeper.js';
import type { OpenRun } from './open-run.js';
import type { ItemFailure, Pass } from './pass.js';
import type { ProgressTeller } from './progress-teller.js';
import { runModelStep } from './run-model-step.js';
import { runWebhookStep } from './run-webhook-step.js';
import { inStepSpan } from './trace-run.js';

export async function runSteps(
  run: OpenRun,
  lease: Lease,
  tools: ExecuteTools,
  progress: ProgressTeller,
): Promise<Pass> {
  const { steps } = run.workflow;
  const onOutcomeUnknown = (forMs: number) => progress.tellUnknown(forMs);
  for (const [index, step] of steps.entries()) {
    lease.signal.throwIfAborted();
    const tell = (itemsDone: number | null, itemsTotal: number | null) =>
      progress.tell(progressAt(step, index, steps.length, itemsDone, itemsTotal));
    if (step.kind === 'compute') {
      tell(null, null);
      await inStepSpan(step, () => Promise.resolve(run.context.outputOf(step)));
      continue;
    }
    const stepTools = { ...tools, onOutcomeUnknown };
    const pass = await inStepSpan(step, () =>
      step.kind === 'webhook'
        ? runWebhookStep(step, index, run, lease, tools, tell)
        : runModelStep(step, index, run, lease, stepTools, tell),
    );
    if (pass.kind !== 'step_done') return pass;
  }
  return finish(run, tools);
}

/** The output of the last step is the result; it is stored before the transaction that refers to it. */
async function finish(run: OpenRun, tools: ExecuteTools): Promise<Pass> {
  const last = run.workflow.steps.at(-1)!;
  const result = run.context.outputOf(last);
  const problems = checkSchema(run.workflow.result, result);
  if (problems.length > 0) {
    const places = problems.slice(0, 5).map(({ pointer, rule }) => `${pointer || '/'} (${rule})`);
    return { kind: 'failed', failures: [brokenResult(last, places.join(', '))] };
  }
  const bytes = Buffer.from(JSON.stringify(result));
  const stored = await tools.contents.put(run.row.tenant, bytes, { mediaType: 'application/json' });
  const inline =
    bytes.length <= tools.inlineResultBytes ? (result as Record<string, unknown>) : null;
  return { kind: 'finished', result: { ref: stored.ref, inline } };
}

function brokenResult(step: Step<unknown>, places: string): ItemFailure {
  return {
    class: 'bad_output',
    code: 'result_contract',
    httpStatus: null,
    requestId: null,
    responseId: null,
    message: `the result breaks the workflow's output contract at ${places}`,
    retryAfterMs: null,
    step: step.name,
    item: null,
  };
}

function progressAt(
  step: Step<unknown>,
  stepsDone: number,
  stepsTotal: number,
  itemsDone: number | null,
  itemsTotal: number | null,
): RunProgress {
  return { step: step.title, stepsDone, stepsTotal, itemsDone, itemsTotal };
}
