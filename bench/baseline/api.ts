/** The plain baseline's api, as a team would write it: take a request, put it on Kafka, say 202. No outbox, no dedupe. */
import 'reflect-metadata';
import {
  Body,
  Controller,
  HttpCode,
  Inject,
  Module,
  Post,
  type OnModuleInit,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientKafka, ClientsModule, Transport } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { IsString } from 'class-validator';
import { lastValueFrom } from 'rxjs';

class RunBody {
  @IsString()
  key!: string;

  @IsString()
  question!: string;
}

@Controller()
class RunsController implements OnModuleInit {
  constructor(@Inject('KAFKA') private readonly kafka: ClientKafka) {}

  async onModuleInit(): Promise<void> {
    await this.kafka.connect();
  }

  @Post('runs')
  @HttpCode(202)
  async submit(@Body() body: RunBody): Promise<{ key: string }> {
    await lastValueFrom(this.kafka.emit('bench.requested', { key: body.key, value: body }));
    return { key: body.key };
  }
}

@Module({
  imports: [
    ClientsModule.register([
      {
        name: 'KAFKA',
        transport: Transport.KAFKA,
        options: {
          client: {
            clientId: 'baseline-api',
            brokers: (process.env.KAFKA_BROKERS ?? '').split(','),
          },
          producerOnlyMode: true,
          producer: { allowAutoTopicCreation: false },
        },
      },
    ]),
  ],
  controllers: [RunsController],
})
class BaselineApiModule {}

const app = await NestFactory.create<NestFastifyApplication>(
  BaselineApiModule,
  new FastifyAdapter(),
  {
    logger: ['error'],
  },
);
await app.listen(Number(process.env.API_PORT), '127.0.0.1');
process.once('SIGTERM', () => void app.close().then(() => process.exit(0)));
process.stdout.write(`ready: baseline api on ${await app.getUrl()}\n`);
