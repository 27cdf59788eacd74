/**
 * What a workflow is: an ordered list of steps with contracts at both ends.
 *
 * - `compute` steps are pure functions: recomputed after a takeover, never stored.
 * - `call` steps make one model call; what they read from it is check-pointed.
 * - `map` steps make one model call per item; each item is check-pointed on its own.
 * - `webhook` steps tell somebody outside. What they say is written down before it is sent, so that a second sending says
 *   the same; that it was taken is check-pointed, and no takeover, retry or redrive goes back before that.
 *
 * The output of the last step is the run's result and must meet the `result` contract.
 * A workflow is pinned at submit by name and version. Whatever changes what a run computes, asks or
 * reads (prompts, schemas, how a document is split) needs a new version: runs in flight keep theirs.
 *
 * Everything here is pure: no clock, no randomness, no I/O. The processor supplies what steps read
 * and performs what they ask for.
 */
import type { RetryPolicyOverrides, ServiceTier } from '#libs/domain';
import type { ResultTable } from './result-table.js';
import type { JsonSchema } from './schema/json-schema.js';

export interface WorkflowDocument {
  readonly id: string;
  readonly fileName: string | null;
  readonly mediaType: string;
  readonly text: string;
}

/** What a step may look at. `input` has met the workflow's input contract. */
export interface StepContext {
  readonly input: unknown;
  readonly documents: readonly WorkflowDocument[];
  /** The output of an earlier step. Throws `StepOutputMissingError` for one that has none yet. */
  outputOf<T>(step: Step<T>): T;
}

/** The shape that a model's answer must have; OpenAI enforces strict schemas while generating. */
export interface ModelOutputFormat {
  /** Letters, digits, `_` and `-`, at most 64 of them. */
  readonly name: string;
  readonly schema: JsonSchema;
}

/** One model call, fully spelt out. The same context always gives the same prompt. */
export interface ModelPrompt {
  readonly model: string;
  /** Comes first and is the same for every item of a map, so that OpenAI's prompt cache can share it. */
  readonly instructions: string;
  readonly input: string;
  readonly output?: ModelOutputFormat;
  /** Reserved against limits and budgets before the call; counts reasoning too. At least 16. */
  readonly maxOutputTokens: number;
  /** An answer that is cut at `maxOutputTokens` is asked for once more, with this cap. Default: a person decides. */
  readonly largerCap?: number;
  /** As the step has it. */
  readonly serviceTier?: ServiceTier;
  readonly callTimeoutMs: number;
  /** `background`: survives a crash of ours. `foreground`: only for answers wanted within seconds. */
  readonly mode: 'background' | 'foreground';
  /** When a reply was lost and may have been paid: `hold` for a person, or `resend` and accept a double. */
  readonly whenUnknown: 'hold' | 'resend';
  /**
   * Sent on a conversation, from which the answer can be taken when its reply is lost. Default: in the background, where the processor's
   * settings have conversations; `on`: there in the foreground too; `off`: never, since OpenAI keeps question and answer until both are removed.
   */
  readonly anchor?: 'on' | 'off';
}

export type ModelText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'refusal'; readonly text: string };

/** `problems` go to support and into logs: they name places and rules, never what the model wrote. */
export type Reading<T> =
  | { readonly kind: 'read'; readonly value: T /* JSON: it is check-pointed */ }
  | { readonly kind: 'broken'; readonly problems: readonly string[] };

interface StepBase {
  /** Stable identity inside the workflow, in kebab-case. */
  readonly name: string;
  /** For people who wait, as in "Splitting the document". */
  readonly title: string;
}

export interface ComputeStep<T> extends StepBase {
  readonly kind: 'compute';
  run(ctx: StepContext): T;
}

/** What a step that calls the model says of all its calls. */
export interface CallPolicy {
  readonly output?: ModelOutputFormat;
  /** `once`: an answer that `read` finds broken goes back with what is wrong with it, once. Default: a person decides. */
  readonly repair?: 'once';
  /** Default: as the project is set up at OpenAI. */
  readonly serviceTier?: ServiceTier;
  /** What becomes of a call that the flex tier has no room for: it waits (the default), or goes to the default tier at once. */
  readonly whenFlexIsFull?: 'wait' | 'default';
  /**
   * For one pass over the step, from its beginning: calls that run then are cancelled, and what was paid for is taken; what is not done is a
   * `timeout`, tried again by the workflow's policy. Default: only the calls' own limits and the run's deadline.
   */
  readonly timeLimitMs?: number;
}

export interface CallStep<T> extends StepBase, CallPolicy {
  readonly kind: 'call';
  prompt(ctx: StepContext): ModelPrompt;
  read(output: ModelText, ctx: StepContext): Reading<T>;
}

/** Its output is the array of its items' readings, in the order of `items`. Zero items cost no call. */
export interface MapStep<T> extends StepBase, CallPolicy {
  readonly kind: 'map';
  /** How many of one run's items may be in flight at once. */
  readonly maxParallelItems: number;
  /** Same context, same items, same order: item *n* keeps its check-point across takeovers. */
  items(ctx: StepContext): readonly MapItem<ElementOf<T>>[];
  prompt(item: MapItem<ElementOf<T>>, ctx: StepContext): ModelPrompt;
  read(output: ModelText, item: MapItem<ElementOf<T>>, ctx: StepContext): Reading<ElementOf<T>>;
}

/**
 * One item of a map step. What it holds stays inside (see `mapStep`), so that an item can only ever be
 * prompted and read as what it is.
 */
export interface MapItem<U> {
  /** For people and logs, as in `3.2 Hosting`; not unique. */
  readonly label: string;
  prompt(ctx: StepContext): ModelPrompt;
  read(output: ModelText, ctx: StepContext): Reading<U>;
}

/** What a webhook step leaves behind. */
export interface WebhookReceipt {
  /** Its `webhook-id`: by it the receiver tells a repeat. */
  readonly deliveryId: string;
  /** What the receiver answered: 200 to 299. */
  readonly status: number;
}

/**
 * One signed message to a receiver outside, by Standard Webhooks (https://www.standardwebhooks.com): a JSON body of `type`,
 * `timestamp`, `runId` and `data`. Every sending of it bears the same `webhook-id` and the same body.
 */
export interface WebhookStep<T> extends StepBase {
  readonly kind: 'webhook';
  /** Name of the receiver, in kebab-case; where it is, and the secret, are settings of the processor. */
  readonly target: string;
  /** What happened, as in `tender.matrix-ready`. */
  readonly type: string;
  /**
   * Whether the receiver drops repeats by `webhook-id`, or can take them. `true`: sent again until it is taken. `false`: where
   * nobody can know whether it was taken, a person decides.
   */
  readonly idempotent: boolean;
  /** JSON. Asked once for each run, and kept. */
  data(ctx: StepContext): unknown;
  /** Its output: the receipt, as `webhookStep` has it. */
  read(receipt: WebhookReceipt): T;
}

export type ElementOf<T> = T extends readonly (infer U)[] ? U : unknown;

export type Step<T> = ComputeStep<T> | CallStep<T> | MapStep<T> | WebhookStep<T>;

export interface DocumentsContract {
  readonly min: number;
  readonly max: number;
  readonly mediaTypes: readonly string[];
}

export interface Workflow {
  /** kebab-case; what callers name in `POST /v1/runs`. */
  readonly name: string;
  readonly version: number;
  readonly title: string;
  /** The model lane that this workflow's calls wait in. */
  readonly model: string;
  readonly inputSchema: JsonSchema;
  readonly documents: DocumentsContract;
  readonly steps: readonly Step<unknown>[];
  /** Output contract: a strict JSON schema that the last step's output meets. */
  readonly result: JsonSchema;
  /** Where the result is a table at heart: offered as CSV too. */
  readonly table?: ResultTable;
  readonly retry: RetryPolicyOverrides;
}
