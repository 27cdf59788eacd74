/** Kafka headers as schemas: the CloudEvents envelope that all messages have, and what work, retries and dead letters add to it. */
import { repeatHeaders, springDeadLetterHeaders, workHeaders } from '#libs/contracts';
import { failureClasses } from '#libs/domain';
import type { JsonSchema } from './class-schema.js';

const text = (description: string): JsonSchema => ({ type: 'string', description });
const digits = (description: string): JsonSchema => ({
  type: 'string',
  pattern: '^\\d{1,15}$',
  description,
});
const required = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});
const withOptional = (schema: JsonSchema, more: Readonly<Record<string, JsonSchema>>) => ({
  ...schema,
  properties: { ...(schema['properties'] as object), ...more },
});

const work = required({
  [workHeaders.dispatch]: digits('Counts the messages that may start work on a run.'),
});

const hop = { [workHeaders.hop]: digits('Counts the tiers that one dispatch has passed through.') };

const reemission = {
  [repeatHeaders.reemission]: digits(
    'Sent again because nothing is heard: the version of the run that was seen last.',
  ),
};

const repeated = {
  [repeatHeaders.repeated]: text(
    "Sent again because the api has asked: with id and version of the first one, the run's newest event.",
  ),
};

const whose = {
  [workHeaders.tenant]: text('Whose run it is: for whoever cannot read the body.'),
  [workHeaders.workflow]: text('What carries it.'),
  [workHeaders.workflowVersion]: digits('Pinned when the run was accepted.'),
};

const origin = {
  [workHeaders.originalTopic]: text('Topic of the first message; written once.'),
  [workHeaders.originalPartition]: digits('Its partition.'),
  [workHeaders.originalOffset]: digits('Its offset.'),
  [workHeaders.originalTimestamp]: digits('Its time in the log, epoch milliseconds.'),
};

const lastError = {
  [workHeaders.errorClass]: { ...text('Class of the last failure.'), enum: failureClasses },
  [workHeaders.errorCode]: text('Stable code of the last failure.'),
  [workHeaders.errorMessage]: text('One line, at most 1 KB; no prompt and no output text.'),
};

const openAi = {
  [workHeaders.errorHttpStatus]: digits("Status of OpenAI's answer."),
  [workHeaders.errorRequestId]: text("OpenAI's id of the request."),
  [workHeaders.errorResponseId]: text("OpenAI's id of the response."),
};

const fingerprint = {
  [workHeaders.errorFingerprint]: text('The same for failures of one cause.'),
};

const worker = {
  [workHeaders.worker]: text('The process that held the run when it stopped, where one did.'),
};

const attempts = {
  [workHeaders.attempt]: digits('1-based attempt that comes next.'),
  [workHeaders.maxAttempts]: digits('Attempts that the run has in all.'),
};

const times = {
  [workHeaders.notBefore]: digits('Epoch milliseconds before which the work must not start.'),
  [workHeaders.firstFailedAt]: digits('Epoch milliseconds of the first failure.'),
};

const spring = {
  [springDeadLetterHeaders.originalTopic]: text('As Spring Kafka names it.'),
  [springDeadLetterHeaders.originalPartition]: digits('As Spring Kafka names it.'),
  [springDeadLetterHeaders.originalOffset]: digits('As Spring Kafka names it.'),
  [springDeadLetterHeaders.exceptionClass]: text('`holdfast.` and the class or code.'),
  [springDeadLetterHeaders.exceptionMessage]: text('As Spring Kafka names it.'),
};

/** By the name under which `asyncapi.json` holds them. */
export const headerSchemas = {
  CloudEventHeaders: withOptional(
    required({
      ce_id: { ...text('Drop repeats by it. A UUIDv7, by custom.'), minLength: 1 },
      ce_source: {
        ...text('Who sent it: an app of Holdfast, or whoever sends a command.'),
        minLength: 1,
      },
      ce_type: text('What it is, and its version. A breaking change is a new version.'),
      ce_subject: {
        ...text('What it is about: the run id; of a command whatever its sender likes.'),
        minLength: 1,
      },
      ce_time: { ...text('When it was made.'), format: 'date-time' },
      ce_specversion: { type: 'string', const: '1.0' },
      ce_partitionkey: { ...text("The record's key."), minLength: 1 },
      'content-type': { type: 'string', const: 'application/json' },
    }),
    {
      ce_correlationid: text('The run id.'),
      ce_causationid: text('Id of the message that caused this one.'),
      traceparent: {
        ...text('W3C Trace Context, unchanged over retries.'),
        pattern: '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$',
      },
    },
  ),
  WorkHeaders: withOptional(work, { ...hop, ...whose, ...reemission }),
  DecisionHeaders: withOptional({ type: 'object' }, reemission),
  EventHeaders: withOptional({ type: 'object' }, repeated),
  RetryHeaders: withOptional(required({ ...attempts, ...times, ...origin, ...lastError }), {
    ...openAi,
    ...fingerprint,
  }),
  DeadLetterHeaders: withOptional(required({ ...attempts, ...origin, ...lastError, ...spring }), {
    ...times,
    ...openAi,
    ...fingerprint,
    ...worker,
  }),
  RefusalHeaders: required({ ...origin, ...lastError, ...spring }),
} as const satisfies Readonly<Record<string, JsonSchema>>;

export type HeaderSchemaName = keyof typeof headerSchemas;
