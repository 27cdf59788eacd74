/**
 * AsyncAPI 3.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0) of everything on Kafka: topics as they are made, messages
 * as their contract classes say, who sends and who receives. A topic without a row in `traffic` throws: it would be undescribed.
 */
import { consumerGroups, retryTopics, topicDefinitions, topics } from '#libs/contracts';
import { schemasOf, type JsonSchema } from './class-schema.js';
import {
  allMessages,
  commandMessages,
  commandRefused,
  decisionMessages,
  dispatchRefused,
  eventMessages,
  opsMessages,
  runRequested,
  spendSettled,
  type DescribedMessage,
} from './message-catalogue.js';
import { API_VERSION, LICENSE } from './document-info.js';
import { ownRules } from './own-rules.js';
import { headerSchemas, type HeaderSchemaName } from './message-headers.js';

/** A message as one topic carries it: the same request has more headers on a retry topic. */
interface CarriedMessage {
  readonly id: string;
  readonly message: DescribedMessage;
  readonly headers: readonly HeaderSchemaName[];
  readonly summary: string;
  /** What the record's key is. Default: the run id. */
  readonly key?: string;
}

interface TopicTraffic {
  /** Name of the channel in the document. */
  readonly channel: string;
  readonly description: string;
  readonly carries: readonly CarriedMessage[];
  /** Empty: only others do. */
  readonly sentBy: readonly ('api' | 'processor')[];

  readonly receivedBy: readonly { readonly app: 'api' | 'processor'; readonly group: string }[];
}

const request: CarriedMessage = {
  id: 'RunRequested',
  message: runRequested,
  headers: ['WorkHeaders'],
  summary: runRequested.meaning,
};
const retry: CarriedMessage = {
  id: 'RunRequestedAgain',
  message: runRequested,
  headers: ['WorkHeaders', 'RetryHeaders'],
  summary: 'The same request, not before its time.',
};
const deadLetters: readonly CarriedMessage[] = [
  {
    id: 'RunDeadLettered',
    message: runRequested,
    headers: ['WorkHeaders', 'DeadLetterHeaders'],
    summary: 'The request of a run that needs a person, and why.',
  },
  {
    id: 'DispatchRefused',
    message: dispatchRefused,
    headers: ['RefusalHeaders'],
    summary: dispatchRefused.meaning,
  },
];
const events: readonly CarriedMessage[] = [
  ...eventMessages.map((message): CarriedMessage => {
    return { id: message.name, message, headers: ['EventHeaders'], summary: message.meaning };
  }),
  { id: spendSettled.name, message: spendSettled, headers: [], summary: spendSettled.meaning },
];

const opsEvents: readonly CarriedMessage[] = opsMessages.map((message) => ({
  id: message.name,
  message,
  headers: [],
  summary: message.meaning,
  key: '`gateway/<account>`, or `gateway/<account>/<model>`.',
}));

const decisions: readonly CarriedMessage[] = decisionMessages.map((message) => ({
  id: message.name,
  message,
  headers: ['DecisionHeaders'],
  summary: message.meaning,
}));

const ANY_KEY =
  "The sender's choice: one key for all commands about one action keeps them in order, such as tenant and idempotency key.";
const commands: readonly CarriedMessage[] = commandMessages.map((message) => ({
  id: message.name,
  message,
  headers: [],
  summary: message.meaning,
  key: ANY_KEY,
}));
const refusals: readonly CarriedMessage[] = [
  {
    id: commandRefused.name,
    message: commandRefused,
    headers: ['RefusalHeaders'],
    summary: commandRefused.meaning,
    key: "The command's own.",
  },
];

const traffic: Readonly<Record<string, TopicTraffic>> = {
  [topics.runCommands]: {
    channel: 'runCommands',
    description:
      'What services ask for: write here. `ce_source` says who you are; the setting API_COMMAND_SOURCES says which tenant that is. Accepted commands are answered by the events of the run, refused ones on the dead-letter topic.',
    carries: commands,
    sentBy: [],
    receivedBy: [{ app: 'api', group: consumerGroups.submitRuns }],
  },
  [topics.runCommandsDeadLetters]: {
    channel: 'runCommandsDeadLetters',
    description:
      'Commands that were refused, for their senders: read with a group of your own. `ce_causationid` is `ce_id` of the command.',
    carries: refusals,
    sentBy: ['api'],
    receivedBy: [],
  },
  [topics.runRequested]: {
    channel: 'runRequested',
    description:
      'Work to dispatch, and what people decide about it. Between api and processor: do not write here.',
    carries: [request, ...decisions],
    sentBy: ['api'],
    receivedBy: [{ app: 'processor', group: consumerGroups.admitRuns }],
  },
  ...Object.fromEntries(
    retryTopics.map(({ topic, delayMs }): [string, TopicTraffic] => [
      topic,
      {
        channel: `runRequestedRetry${delayMs / 1000}s`,
        description: `The same work, at least ${delayMs / 1000} s later.`,
        carries: [retry],
        sentBy: ['processor'],
        receivedBy: [{ app: 'processor', group: consumerGroups.admitRetries }],
      },
    ]),
  ),
  [topics.runRequestedDeadLetters]: {
    channel: 'runRequestedDeadLetters',
    description: 'Work that needs a person.',
    carries: deadLetters,
    sentBy: ['processor'],
    receivedBy: [],
  },
  [topics.runEvents]: {
    channel: 'runEvents',
    description:
      'Facts about runs, for whoever wants them: read with a group of your own. Per run, in order of `version`; a message may come twice (drop by `ce_id`). What has no `version` (RunSpendSettled) is no change of the run. Ignore unknown fields; set unknown types aside.',
    carries: events,
    sentBy: ['processor'],
    receivedBy: [{ app: 'api', group: consumerGroups.projectRuns }],
  },
  [topics.opsEvents]: {
    channel: 'opsEvents',
    description:
      'Facts about the system, for alerts: read with a group of your own. One for the whole fleet, not one per run; a message may come twice (drop by `ce_id`).',
    carries: opsEvents,
    sentBy: ['processor'],
    receivedBy: [],
  },
};

const REF_PREFIX = '#/components/schemas/';
const BINDING = { bindingVersion: '0.5.0' } as const;

export function asyncApiDocument() {
  const described = topicDefinitions().map((topic) => ({ topic, ...trafficOf(topic.name) }));
  const carried = new Map(described.flatMap(({ carries }) => carries).map((m) => [m.id, m]));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Holdfast on Kafka',
      version: API_VERSION,
      description:
        'CloudEvents 1.0 in Kafka binary mode: attributes are headers (UTF-8), the data is the JSON value. Topic names are logical: a deployment may put a prefix before topics and groups.',
      license: LICENSE,
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(described.map((each) => [each.channel, channelOf(each)])),
    operations: Object.fromEntries(described.flatMap(operationsOf)),
    components: {
      messages: Object.fromEntries([...carried].map(([id, each]) => [id, messageOf(each)])),
      schemas: {
        ...headerSchemas,
        ...schemasOf(
          allMessages.map(({ contract }) => contract),
          { refPrefix: REF_PREFIX, ownRules },
        ),
      },
    },
  };
}

type DescribedTopic = TopicTraffic & {
  readonly topic: ReturnType<typeof topicDefinitions>[number];
};

function trafficOf(topic: string): TopicTraffic {
  const found = traffic[topic];
  if (found) return found;
  throw new TopicUndescribedError(topic);
}

function channelOf({ topic, description, carries }: DescribedTopic) {
  return {
    address: topic.name,
    description,
    messages: Object.fromEntries(
      carries.map(({ id }) => [id, { $ref: `#/components/messages/${id}` }]),
    ),
    bindings: {
      kafka: {
        topic: topic.name,
        partitions: topic.partitions,
        topicConfiguration: {
          'cleanup.policy': ['delete'],
          'retention.ms': topic.retentionMs,
          ...topic.config,
        },
        ...BINDING,
      },
    },
  };
}

/** From Holdfast's point of view: `send` is what it publishes, `receive` what it consumes. */
function operationsOf({
  channel,
  carries,
  sentBy,
  receivedBy,
}: DescribedTopic): [string, object][] {
  const on = {
    channel: { $ref: `#/channels/${channel}` },
    messages: carries.map(({ id }) => ({ $ref: `#/channels/${channel}/messages/${id}` })),
  };
  const name = channel[0]?.toUpperCase() + channel.slice(1);
  return [
    ...sentBy.map((app): [string, object] => [
      `${app}Sends${name}`,
      { action: 'send', title: `The ${app} sends`, ...on },
    ]),
    ...receivedBy.map(({ app, group }): [string, object] => [
      `${app}Receives${name}`,
      {
        action: 'receive',
        title: `The ${app} receives`,
        ...on,
        bindings: { kafka: { groupId: { type: 'string', const: group }, ...BINDING } },
      },
    ]),
  ];
}

function messageOf({ id, message, headers, summary, key = 'The run id.' }: CarriedMessage) {
  const refs = (['CloudEventHeaders', ...headers] as const).map((name) => ({
    $ref: REF_PREFIX + name,
  }));
  const ofType: JsonSchema = { properties: { ce_type: { const: message.wireType } } };
  return {
    name: message.wireType,
    title: id,
    summary,
    contentType: 'application/json',
    headers: { type: 'object', allOf: [...refs, ofType] },
    payload: { $ref: REF_PREFIX + message.contract.name },
    correlationId: { location: '$message.header#/ce_correlationid' },
    bindings: {
      kafka: { key: { type: 'string', description: key }, ...BINDING },
    },
  };
}

/** `topicDefinitions` has a topic that the AsyncAPI document cannot describe: give it a row in `traffic`. */
export class TopicUndescribedError extends Error {
  override readonly name = 'TopicUndescribedError';
  readonly code = 'topic_undescribed';
  constructor(topic: string) {
    super(`${topic} has no row in the AsyncAPI document`);
  }
}
