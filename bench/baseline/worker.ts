/** The plain baseline's worker: a Nest Kafka microservice that calls OpenAI and publishes what came of it. No ledger, no retries. */
import 'reflect-metadata';
import { Controller, Inject, Module, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClientKafka,
  ClientsModule,
  EventPattern,
  Payload,
  Transport,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import OpenAI from 'openai';
import { lastValueFrom } from 'rxjs';

const brokers = (process.env.KAFKA_BROKERS ?? '').split(',');
const openai = new OpenAI({
  apiKey: process.env.OPENAI_API_KEY ?? '',
  baseURL: process.env.OPENAI_BASE_URL ?? '',
});

@Controller()
class WorkController implements OnModuleInit {
  constructor(@Inject('KAFKA') private readonly kafka: ClientKafka) {}

  async onModuleInit(): Promise<void> {
    await this.kafka.connect();
  }

  @EventPattern('bench.requested')
  async requested(@Payload() run: { key: string; question: string }): Promise<void> {
    const response = await openai.responses.create({
      model: 'gpt-5.2',
      instructions: 'Answer the question.',
      input: run.question,
      max_output_tokens: 4_000,
    });
    const value = { key: run.key, answer: response.output_text };
    await lastValueFrom(this.kafka.emit('bench.completed', { key: run.key, value }));
  }
}

@Module({
  imports: [
    ClientsModule.register([
      {
        name: 'KAFKA',
        transport: Transport.KAFKA,
        options: {
          client: { clientId: 'baseline-worker', brokers },
          producerOnlyMode: true,
          producer: { allowAutoTopicCreation: false },
        },
      },
    ]),
  ],
  controllers: [WorkController],
})
class BaselineWorkerModule {}

const app = await NestFactory.createMicroservice<MicroserviceOptions>(BaselineWorkerModule, {
  transport: Transport.KAFKA,
  logger: ['error'],
  options: {
    client: { clientId: 'baseline-worker', brokers },
    consumer: { groupId: 'baseline-worker', allowAutoTopicCreation: false },
    run: { partitionsConsumedConcurrently: 12 },
    subscribe: { fromBeginning: true },
  },
});
await app.listen();
process.once('SIGTERM', () => void app.close().then(() => process.exit(0)));
process.stdout.write('ready: baseline worker\n');
