/**
 * How steps are written. `mapStep` is what makes a map sound without casts: the author's item type stays
 * inside the items it makes, and the processor handles them without knowing it.
 */
import type {
  CallStep,
  ComputeStep,
  MapItem,
  MapStep,
  ModelOutputFormat,
  ModelPrompt,
  ModelText,
  Reading,
  StepContext,
  WebhookReceipt,
  WebhookStep,
} from './workflow.js';

export function computeStep<T>(step: {
  readonly name: string;
  readonly title: string;
  run(ctx: StepContext): T;
}): ComputeStep<T> {
  return { kind: 'compute', ...step };
}

/** A prompt without its output format, which the step states once, so that it can be checked at definition. */
export type PromptDraft = Omit<ModelPrompt, 'output'>;

export function callStep<T>(step: {
  readonly name: string;
  readonly title: string;
  readonly output?: ModelOutputFormat;
  prompt(ctx: StepContext): PromptDraft;
  read(output: ModelText, ctx: StepContext): Reading<T>;
}): CallStep<T> {
  return {
    kind: 'call',
    ...step,
    prompt: (ctx) => withOutput(step.prompt(ctx), step.output),
  };
}

export function mapStep<Item, U>(step: {
  readonly name: string;
  readonly title: string;
  readonly output?: ModelOutputFormat;
  readonly maxParallelItems: number;
  items(ctx: StepContext): readonly Item[];
  label(item: Item): string;
  prompt(item: Item, ctx: StepContext): PromptDraft;
  read(output: ModelText, item: Item, ctx: StepContext): Reading<U>;
}): MapStep<readonly U[]> {
  const toItem = (item: Item): MapItem<U> => ({
    label: step.label(item),
    prompt: (ctx) => withOutput(step.prompt(item, ctx), step.output),
    read: (output, ctx) => step.read(output, item, ctx),
  });
  return {
    kind: 'map',
    name: step.name,
    title: step.title,
    ...(step.output === undefined ? {} : { output: step.output }),
    maxParallelItems: step.maxParallelItems,
    items: (ctx) => step.items(ctx).map(toItem),
    prompt: (item, ctx) => item.prompt(ctx),
    read: (output, item, ctx) => item.read(output, ctx),
  };
}

export function webhookStep(step: {
  readonly name: string;
  readonly title: string;
  readonly target: string;
  readonly type: string;
  readonly idempotent: boolean;
  data(ctx: StepContext): unknown;
}): WebhookStep<WebhookReceipt> {
  return { kind: 'webhook', ...step, read: (receipt) => receipt };
}

function withOutput(draft: PromptDraft, output: ModelOutputFormat | undefined): ModelPrompt {
  return output === undefined ? draft : { ...draft, output };
}
