import { Module } from '@nestjs/common';
import { OpenAiGateway } from '#libs/openai-gateway';
import { Database } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { LeftoverWorker } from './leftover-worker.js';
import { WaitingCallsStore } from './waiting-calls.store.js';

/** The processor *closes calls* that runs have left open. */
@Module({
  providers: [
    {
      provide: LeftoverWorker,
      inject: [Database, OpenAiGateway, JsonLog],
      useFactory: (database: Database, gateway: OpenAiGateway, log: JsonLog) =>
        new LeftoverWorker({ database, gateway, waiting: new WaitingCallsStore(database), log }),
    },
  ],
  exports: [LeftoverWorker],
})
export class CloseCallsModule {}
