import kafkajs, { type Kafka, type KafkaConfig, type LogEntry } from 'kafkajs';
import type { FieldLog } from '#libs/process';
import { ClientSockets } from './client-sockets.js';
import { installTimerGuard } from './timer-guard.js';

/**
 * About three seconds of tries, then the operation fails and its owner decides. All five are written out: kafkajs has other
 * defaults where NODE_ENV is "test", and up to 30 s between two tries where it is not.
 */
export const CLIENT_RETRY = {
  initialRetryTime: 100,
  factor: 0.2,
  multiplier: 2,
  maxRetryTime: 2_000,
  retries: 5,
} as const;

export interface KafkaConnectionOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Put before every topic and group, so that several deployments (or spec files) share one cluster. Default: none. */
  readonly topicPrefix?: string;
  readonly log: FieldLog;
}

/**
 * Where Kafka is, and what our names are called there. Opens nothing itself: every consumer and relay takes a client of its
 * own, because kafkajs shares committed positions between the consumers of one client, and retry settings between everything.
 */
export class KafkaConnection {
  readonly brokers: readonly string[];
  readonly topicPrefix: string;
  private readonly clientId: string;
  private clients = 0;
  private readonly log: FieldLog;

  constructor(options: KafkaConnectionOptions) {
    installTimerGuard();
    this.brokers = options.brokers;
    this.clientId = options.clientId;
    this.topicPrefix = options.topicPrefix ?? '';
    this.log = options.log;
  }

  /** Logical name → name on the cluster. */
  topicName(logicalTopic: string): string {
    return this.topicPrefix + logicalTopic;
  }

  groupName(logicalGroup: string): string {
    return this.topicPrefix + logicalGroup;
  }

  /** Name on the cluster → logical name. */
  logicalTopic(topicName: string): string {
    return topicName.startsWith(this.topicPrefix)
      ? topicName.slice(this.topicPrefix.length)
      : topicName;
  }

  /** For this lib only. `sockets` are the ones to end when the client is done with. */
  newClient(overrides: Partial<KafkaConfig> = {}, sockets = new ClientSockets()): Kafka {
    return new kafkajs.Kafka({
      brokers: this.fromTheNextOn(),
      clientId: this.clientId,
      connectionTimeout: 2_000,
      retry: CLIENT_RETRY,
      logLevel: kafkajs.logLevel.WARN,
      logCreator: () => (entry) => this.write(entry),
      ...overrides,
      socketFactory: sockets.factory(overrides.socketFactory),
    });
  }

  /**
   * kafkajs always begins with the first broker, and a client that does not retry (the relay's) never gets to another: were the
   * first one away, it could not publish. So each client begins one further.
   */
  private fromTheNextOn(): string[] {
    const first = this.clients++ % this.brokers.length;
    return [...this.brokers.slice(first), ...this.brokers.slice(0, first)];
  }

  /**
   * kafkajs calls every attempt that it will repeat an error ("group coordinator is not available" at each cold start), and
   * every error answer twice, on the connection and where it is dealt with. What is final reaches us as a rejection or a
   * crash, and is logged there.
   */
  private write(entry: LogEntry): void {
    const { message, ...said } = entry.log;
    const textOf = (name: string) => (typeof said[name] === 'string' ? said[name] : undefined);
    const notable = entry.level === kafkajs.logLevel.ERROR && entry.namespace !== 'Connection';
    const fields = {
      kafkajs: entry.namespace,
      broker: textOf('broker'),
      groupId: textOf('groupId'),
      reason: textOf('error'),
    };
    this.log[notable ? 'warn' : 'debug'](fields, message);
  }
}
