/**
 * What the api answers, as schemas. The views are interfaces, which leave nothing at run time to read them off: here the compiler holds
 * the names of their fields, and the specs hold real answers against the schemas.
 */
import {
  CompleteRunBody,
  DecideRunBody,
  decisionStates,
  DiscardRunBody,
  BudgetPart,
  CostPart,
  FailurePart,
  problemKinds,
  ProgressPart,
  RedriveRunBody,
  SubmitRunBody,
  UsagePart,
  USD,
  WaitingPart,
  type DecisionReceipt,
  type DecisionView,
  type DocumentView,
  type RunDecisions,
  type ProblemBody,
  type ProblemField,
  type RunHistory,
  type RunHistoryEntry,
  type RunPage,
  type RunStreamEntry,
  type RunView,
  type UsageReport,
  type UsageRow,
  type UsageSums,
} from '#libs/contracts';
import { decisionNames, runPriorities, runStatuses } from '#libs/domain';
import { orNull, schemasOf, type JsonSchema } from './class-schema.js';
import { fieldMeanings } from './field-meanings.js';
import { ownRules } from './own-rules.js';

const REF_PREFIX = '#/components/schemas/';

export const ref = (name: string): JsonSchema => ({ $ref: REF_PREFIX + name });

const text: JsonSchema = { type: 'string' };
const flag: JsonSchema = { type: 'boolean' };
const count: JsonSchema = { type: 'integer', minimum: 0 };
const instant: JsonSchema = { type: 'string', format: 'date-time' };
const texts: JsonSchema = { type: 'array', items: text };
const listOf = (name: string): JsonSchema => ({ type: 'array', items: ref(name) });
export const runIdSchema: JsonSchema = { type: 'string', pattern: '^run_[0-9a-f-]{36}$' };
const documentIdSchema: JsonSchema = { type: 'string', pattern: '^doc_[A-Za-z0-9_-]{43}$' };
const status: JsonSchema = { type: 'string', enum: runStatuses };

/** Every field of `View`, each required but those named. */
function view<View>(
  properties: { readonly [Field in keyof Required<View>]: JsonSchema },
  optional: readonly (keyof View & string)[] = [],
): JsonSchema {
  const fields = Object.entries<JsonSchema>(properties);
  return {
    type: 'object',
    properties: Object.fromEntries(
      fields.map(([name, schema]) => [name, { description: fieldMeanings[name], ...schema }]),
    ),
    required: fields
      .map(([name]) => name)
      .filter((name) => !(optional as readonly string[]).includes(name)),
  };
}

const usd: JsonSchema = { type: 'string', pattern: USD.source };
const share: JsonSchema = {
  ...orNull({ type: 'number', minimum: 0, maximum: 1 }),
  description: 'Of all that is booked or uncertain; null where that is nothing.',
};
const usageSums = {
  runs: { ...count, description: 'Runs that have sent calls.' },
  ...{ calls: count, inputTokens: count, cachedInputTokens: count, outputTokens: count },
  ...{ bookedUsd: usd, uncertainUsd: usd, retriesUsd: usd },
  ...{ uncertainShare: share, retriesShare: share },
};

const runView = view<RunView>(
  {
    id: runIdSchema,
    tenant: text,
    workflow: text,
    workflowVersion: count,
    status,
    version: count,
    revision: { ...count, description: 'Grows with each change of the view that no event made.' },
    cancelling: { ...flag, description: 'A cancel was asked for and is not yet applied.' },
    redrivePending: { ...flag, description: 'A redrive was asked for and is not yet applied.' },
    discardPending: { ...flag, description: 'A discard was asked for and is not yet applied.' },
    completionPending: {
      ...flag,
      description: 'A completion by hand was asked for and is not yet applied.',
    },
    supersededBy: {
      ...orNull(runIdSchema),
      description: 'The run that an edited replay started instead.',
    },
    message: { ...text, description: 'The state in words for the person who waits.' },
    waiting: orNull(ref('WaitingPart')),
    attempt: count,
    maxAttempts: count,
    nextAttemptAt: orNull(instant),
    progress: orNull(ref('ProgressPart')),
    usage: orNull(ref('UsagePart')),
    cost: orNull(ref('CostPart')),
    budget: orNull(ref('BudgetPart')),
    reference: orNull(text),
    labels: { type: 'object', additionalProperties: text },
    priority: { type: 'string', enum: runPriorities },
    documents: texts,
    deadlineAt: orNull(instant),
    failure: orNull(ref('FailurePart')),
    result: {
      description:
        'Only where the caller prefers to wait, the run is completed and the result is small; else see `links.result`.',
    },
    createdAt: instant,
    startedAt: orNull(instant),
    endedAt: orNull(instant),
    expiredAt: {
      ...orNull(instant),
      description:
        'Since then history and result are gone, and so are reference, labels and documents; null: all is there.',
    },
    links: view<RunView['links']>({
      self: text,
      events: text,
      result: {
        ...orNull(text),
        description: 'null until the run is completed, and once it is expired.',
      },
    }),
  },
  ['result'],
);

const historyEntry: { readonly [Field in keyof RunHistoryEntry]: JsonSchema } = {
  id: { ...text, description: '`ce_id` of the event: drop repeats by it.' },
  type: { ...text, description: '`ce_type` of the event.' },
  version: { type: 'integer', minimum: 1 },
  status,
  occurredAt: instant,
  message: { ...text, description: 'The state after this event, in words.' },
  data: { type: 'object', description: 'The event as it was published: see asyncapi.json.' },
};

const decisionIdSchema: JsonSchema = { type: 'string', pattern: '^dec_[0-9a-f-]{36}$' };
const decisionName: JsonSchema = { type: 'string', enum: decisionNames };
const decisionState: JsonSchema = {
  type: 'string',
  enum: decisionStates,
  description: '`pending` until the processor has answered.',
};

interface ProblemExtensions {
  readonly run?: RunView;
  readonly limit?: number;
  readonly decisionId?: string;
}

const problem = view<ProblemBody & ProblemExtensions>(
  {
    type: { ...text, description: 'A name, not an address.' },
    title: { ...text, description: 'The same for every occurrence.' },
    status: { type: 'integer', minimum: 400, maximum: 599, description: 'HTTP status.' },
    detail: { ...text, description: 'What happened this time.' },
    code: {
      type: 'string',
      enum: Object.keys(problemKinds),
      description: 'Stable: switch on it. The catalogue is closed.',
    },
    errors: { ...listOf('ProblemField'), description: 'What is to be mended.' },
    retryable: { ...flag, description: 'May the same request succeed later, unchanged?' },
    traceId: { ...text, description: 'W3C trace id: quote it to support.' },
    run: {
      ...ref('RunView'),
      description: 'Where the run stands that has no result, or of which this cannot be decided.',
    },
    limit: { ...count, description: 'How many runs may be unfinished.' },
    decisionId: { ...decisionIdSchema, description: 'The decision that is on its way.' },
  },
  ['run', 'limit', 'decisionId'],
);

const component: JsonSchema = {
  type: 'object',
  properties: { status: text },
  required: ['status'],
  additionalProperties: true,
};
const components = orNull({ type: 'object', additionalProperties: component });

const parts = [WaitingPart, ProgressPart, UsagePart, CostPart, BudgetPart, FailurePart];
const bodies = [SubmitRunBody, DecideRunBody, RedriveRunBody, DiscardRunBody, CompleteRunBody];
const classes = schemasOf([...parts, ...bodies], {
  refPrefix: REF_PREFIX,
  ownRules,
});

export const viewSchemas: Readonly<Record<string, JsonSchema>> = {
  ...classes,
  ...Object.fromEntries(
    bodies.map(({ name }) => [name, { ...classes[name], additionalProperties: false }]),
  ),
  RunView: runView,
  RunPage: view<RunPage>({
    runs: listOf('RunView'),
    next: { ...orNull(text), description: 'Address of the next page; null: this is the last.' },
  }),
  RunHistory: view<RunHistory>({
    events: { ...listOf('RunHistoryEntry'), description: 'Oldest first.' },
  }),
  RunHistoryEntry: view<RunHistoryEntry>(historyEntry),
  RunStreamEntry: view<RunStreamEntry>({ runId: runIdSchema, ...historyEntry }),
  RunStreamView: {
    description: 'The view of a run, and of which.',
    allOf: [
      ref('RunView'),
      { type: 'object', properties: { runId: runIdSchema }, required: ['runId'] },
    ],
  },
  DecisionReceipt: view<DecisionReceipt>({
    decisionId: decisionIdSchema,
    runId: runIdSchema,
    decision: decisionName,
    state: decisionState,
    links: view<DecisionReceipt['links']>({ run: text, decisions: text }),
  }),
  DecisionView: view<DecisionView>({
    id: decisionIdSchema,
    decision: decisionName,
    state: decisionState,
    reason: { ...orNull(text), description: 'Why somebody decided so.' },
    refusal: {
      ...orNull(view<NonNullable<DecisionView['refusal']>>({ code: text, reason: text })),
      description: 'Why it was refused; null where it was not.',
    },
    decidedAt: instant,
    answeredAt: { ...orNull(instant), description: 'When it was applied or refused.' },
  }),
  RunDecisions: view<RunDecisions>({
    decisions: { ...listOf('DecisionView'), description: 'Oldest first.' },
  }),
  DocumentView: view<DocumentView>({
    id: documentIdSchema,
    fileName: orNull(text),
    mediaType: text,
    sizeBytes: count,
    alreadyStored: { ...flag, description: 'The same bytes were there before.' },
  }),
  UsageRow: view<UsageRow>({
    day: { type: 'string', format: 'date' },
    ...{ tenant: text, workflow: text, model: text },
    ...usageSums,
  }),
  UsageReport: view<UsageReport>({
    from: { type: 'string', format: 'date', description: 'First day, UTC.' },
    to: { type: 'string', format: 'date', description: 'Last day, UTC.' },
    rows: { ...listOf('UsageRow'), description: 'Newest day first.' },
    total: view<UsageSums>(usageSums),
  }),
  Problem: problem,
  ProblemField: view<ProblemField>(
    {
      pointer: { ...text, description: 'JSON Pointer (RFC 6901) into the body.' },
      parameter: { ...text, description: 'Name of a parameter of the address.' },
      header: { ...text, description: 'Name of a header.' },
      message: { ...text, description: 'What is wrong there.' },
      mend: { ...text, description: 'What to write instead.' },
    },
    ['pointer', 'parameter', 'header'],
  ),
  Alive: { type: 'object', properties: { status: { const: 'ok' } }, required: ['status'] },
  Health: {
    type: 'object',
    properties: { status: text, info: components, error: components, details: components },
    required: ['status', 'details'],
  },
};
