import { retryTiers, type RetryTier } from '#libs/domain';

/** Logical topic names; the deployment's prefix is added by `libs/messaging`. All but those of commands and of the system are keyed by run id. */
export const topics = {
  /** What services ask for over Kafka instead of HTTP; keyed by whatever keeps one action's commands in order. */
  runCommands: 'holdfast.run.commands.v1',
  /** Commands that were refused: their senders read it. */
  runCommandsDeadLetters: 'holdfast.run.commands.v1.dlt',
  /** Work to dispatch, and later what people decide about it. */
  runRequested: 'holdfast.run.requested.v1',
  /** Work that needs a person. */
  runRequestedDeadLetters: 'holdfast.run.requested.v1.dlt',
  /** Facts about runs. */
  runEvents: 'holdfast.run.events.v1',
  /** Facts about the system; keyed by what they are about. */
  opsEvents: 'holdfast.ops.events.v1',
} as const;

/** The same work, not before its time. */
export function retryTopic(tier: RetryTier): string {
  return `${topics.runRequested}.retry.${tier.name}`;
}

export const retryTopics: readonly { readonly topic: string; readonly delayMs: number }[] =
  retryTiers.map((tier) => ({ topic: retryTopic(tier), delayMs: tier.delayMs }));

export interface TopicDefinition {
  readonly name: string;
  readonly partitions: number;
  readonly retentionMs: number;
  readonly config?: Readonly<Record<string, string>>;
}

const DAY_MS = 86_400_000;

/** Work topic and its siblings share one partition count and one key, so that a run keeps its partition. */
export function topicDefinitions(partitions = 12): readonly TopicDefinition[] {
  return [
    { name: topics.runCommands, partitions, retentionMs: 7 * DAY_MS },
    { name: topics.runCommandsDeadLetters, partitions, retentionMs: 30 * DAY_MS },
    { name: topics.runRequested, partitions, retentionMs: 7 * DAY_MS },
    ...retryTopics.map(({ topic }) => ({
      name: topic,
      partitions,
      retentionMs: 7 * DAY_MS,
      // kafkajs stamps records with the sender's clock; a tier's delay counts from the broker's.
      config: { 'message.timestamp.type': 'LogAppendTime' },
    })),
    { name: topics.runRequestedDeadLetters, partitions, retentionMs: 30 * DAY_MS },
    { name: topics.runEvents, partitions, retentionMs: 7 * DAY_MS },
    // Few, and read by people: one partition keeps them in order.
    { name: topics.opsEvents, partitions: 1, retentionMs: 30 * DAY_MS },
  ];
}

/** How long a message may lie on a topic and come again. */
export function longestTopicMs(): number {
  return Math.max(...topicDefinitions().map(({ retentionMs }) => retentionMs));
}

/** Named after the folder that consumes. */
export const consumerGroups = {
  submitRuns: 'holdfast.api.submit-runs',
  admitRuns: 'holdfast.processor.admit-runs',
  admitRetries: 'holdfast.processor.admit-runs.retry',
  projectRuns: 'holdfast.api.project-runs',
} as const;
