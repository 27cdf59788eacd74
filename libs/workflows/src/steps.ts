/**
 * How steps are written. `mapStep` is what makes a map sound without casts: the author's item type stays
 * inside the items it makes, and the processor handles them without knowing it.
 */
import type {
  CallPolicy,
  CallStep,
  ComputeStep,
  MapItem,
  MapStep,
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

/** A prompt without what the step states once for all its calls, so that it can be checked at definition. */
export type PromptDraft = Omit<ModelPrompt, 'output' | 'serviceTier'>;

export function callStep<T>(
  step: CallPolicy & {
    readonly name: string;
    readonly title: string;
    prompt(ctx: StepContext): PromptDraft;
    read(output: ModelText, ctx: StepContext): Reading<T>;
  },
): CallStep<T> {
  return {
    kind: 'call',
    ...step,
    prompt: (ctx) => withPolicy(step.prompt(ctx), step),
  };
}

export function mapStep<Item, U>(
  step: CallPolicy & {
    readonly name: string;
    readonly title: string;
    readonly maxParallelItems: number;
    items(ctx: StepContext): readonly Item[];
    label(item: Item): string;
    prompt(item: Item, ctx: StepContext): PromptDraft;
    read(output: ModelText, item: Item, ctx: StepContext): Reading<U>;
  },
): MapStep<readonly U[]> {
  const toItem = (item: Item): MapItem<U> => ({
    label: step.label(item),
    prompt: (ctx) => withPolicy(step.prompt(item, ctx), step),
    read: (output, ctx) => step.read(output, item, ctx),
  });
  return {
    kind: 'map',
    ...step,
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

function withPolicy(draft: PromptDraft, { output, serviceTier }: CallPolicy): ModelPrompt {
  return { ...draft, ...(output && { output }), ...(serviceTier && { serviceTier }) };
}
