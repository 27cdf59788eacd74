/**
 * Runs Nest's `@EventPattern('<logical topic>')` handlers over this lib's consumers. Nest's own Kafka server hard-codes
 * eachMessage and has no redelivery, dead letters or concurrency.
 *
 * (K1) A record is settled when the handler's stream completes. A throwing handler resolves to a stream that fails only when
 *      somebody subscribes: settling on `await handler()` alone would lose records in silence.
 * (K2) A handler that fails is an infrastructure fault: its record is handed over again (see RecordHandler).
 * (K3) What can't be decoded goes to `onUndecodable`, under the same rules; never to a handler.
 * (K4) One topic, one handler: of two, one could fail after the other has had its effect.
 */
import { Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import { Consumer } from '../consumer/consumer.js';
import type { ConsumerOptions, ConsumerStatus } from '../consumer/consumer-options.js';
import { DelayedConsumer, type DelayTier } from '../consumer/delayed-consumer.js';
import type { Decoded, ReceivedMessage, UndecodableRecord } from '../envelope/message.js';
import { inSpan } from '#libs/tracing';
import { KafkaRecordContext } from './kafka-record-context.js';
import { processSpan } from './process-span.js';

export interface KafkaTransportOptions extends Omit<ConsumerOptions, 'handler'> {
  /** Resolves when the record has been put away (a dead letter); rejects to get it again. */
  readonly onUndecodable: (record: UndecodableRecord) => Promise<void>;
  /** What to consume. Default: every topic that has a handler, so name them when the app has more than one strategy. */
  readonly topics?: readonly string[];
  /** Instead of `topics`: retry tiers, each with its delay. */
  readonly tiers?: readonly DelayTier[];
  /** DelayedConsumer's clock. */
  readonly nowMs?: () => number;
  /** For handlers when the app closes. Default 10 s. */
  readonly graceMs?: number;
}

type Handler = MessageHandler<ReceivedMessage, KafkaRecordContext, unknown>;

/** A topic without exactly one handler: the app is put together wrongly. */
export class TopicHandlerError extends Error {
  override readonly name = 'TopicHandlerError';
  readonly code = 'topic_handler';
}

/** Wraps what a handler's stream failed with when that is no Error. */
export class HandlerFailedError extends Error {
  override readonly name = 'HandlerFailedError';
  readonly code = 'handler_failed';
}

export class KafkaTransportStrategy extends Server implements CustomTransportStrategy {
  /** We subscribe to what handlers return and report it ourselves. */
  override readonly propagatesEventHandlerErrors = true;
  private consumer: Consumer | DelayedConsumer | null = null;

  constructor(private readonly options: KafkaTransportOptions) {
    super();
  }

  /** Nest calls it: starts the consumer, and calls back with an error if a topic has no handler or does not exist. */
  listen(callback: (error?: unknown) => void): void {
    this.startConsumer().then(() => callback(), callback);
  }

  /** Resolves at the first assignment. Only after `listen`. */
  get joined(): Promise<void> {
    return this.consumer?.joined ?? Promise.reject(new Error('The transport does not listen yet'));
  }

  consumerStatus(): ConsumerStatus | null {
    return this.consumer?.status() ?? null;
  }

  /** Pause → settle → commit → leave. Call it first thing in a shutdown; `close` after it does nothing more. */
  async drain({ graceMs }: { graceMs: number }): Promise<void> {
    await this.consumer?.stop({ graceMs });
  }

  /** Nest calls it. */
  async close(): Promise<void> {
    await this.drain({ graceMs: this.options.graceMs ?? 10_000 });
  }

  /** Nest's interface; there are no events beside the messages. */
  on(): void {
    throw new Error('KafkaTransportStrategy has no events: see consumerStatus()');
  }

  unwrap<T>(): T {
    return this.consumer as T;
  }

  private async startConsumer(): Promise<void> {
    const { tiers } = this.options;
    const topics = tiers?.map(({ topic }) => topic) ??
      this.options.topics ?? [...this.messageHandlers.keys()];
    if (topics.length === 0) throw new TopicHandlerError('The transport has no topics to consume');
    for (const topic of topics) this.handlerOf(topic); // (K4)
    const options = { ...this.options, handler: (decoded: Decoded) => this.traced(decoded) };
    this.consumer = tiers
      ? new DelayedConsumer({ ...options, tiers })
      : new Consumer({ ...options, topics });
    await this.consumer.start();
  }

  private handlerOf(topic: string): Handler {
    const handler: Handler | undefined = this.messageHandlers.get(topic);
    if (!handler?.isEventHandler)
      throw new TopicHandlerError(`No @EventPattern handler for topic ${topic}`);
    if (handler.next)
      throw new TopicHandlerError(`More than one @EventPattern handler for topic ${topic}`);
    return handler;
  }

  /** A redelivered record is a span for each time. */
  private traced(decoded: Decoded): Promise<void> {
    return inSpan(
      () => processSpan(decoded, this.options.groupId),
      () => this.handle(decoded),
    );
  }

  private handle(decoded: Decoded): Promise<void> {
    switch (decoded.kind) {
      case 'undecodable':
        return this.options.onUndecodable(decoded); // (K3)
      case 'message':
        return this.runHandler(decoded.message);
    }
  }

  private runHandler(message: ReceivedMessage): Promise<void> {
    const handler = this.handlerOf(message.position.topic);
    const context = new KafkaRecordContext([message]);
    return new Promise((resolve, reject) => {
      this.runWithProcessingHooks(context, async (endProcessing) => {
        try {
          await settled(handler, message, context);
          resolve();
        } catch (error) {
          reject(asError(error)); // (K2)
        } finally {
          endProcessing();
        }
      });
    });
  }
}

/** (K1) */
async function settled(
  handler: Handler,
  message: ReceivedMessage,
  context: KafkaRecordContext,
): Promise<void> {
  const result: unknown = await handler(message, context);
  if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
}

function asError(error: unknown): Error {
  if (error instanceof Error) return error;
  return new HandlerFailedError(
    `The handler failed with a ${typeof error} that is no Error; with KeepCauseFilter its own error would be here`,
  );
}
