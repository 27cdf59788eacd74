import { Module } from '@nestjs/common';
import { Outbox, OutboxRelay } from '#libs/messaging';
import { Database } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { SettleSpendStore } from './settle-spend.store.js';
import { SpendSettler } from './spend-settler.js';

/** Longer than a look takes, which is one transaction. */
const TAKEN_FOR_MS = 30_000;

/** The processor *settles spend*: what a call cost may become known when its run has told its end. */
@Module({
  providers: [
    {
      provide: SpendSettler,
      inject: [Database, Outbox, OutboxRelay, JsonLog],
      useFactory: (database: Database, outbox: Outbox, relay: OutboxRelay, log: JsonLog) => {
        const store = new SettleSpendStore(database, outbox, TAKEN_FOR_MS);
        return new SpendSettler({ store, log, onTold: () => relay.hint() });
      },
    },
  ],
  exports: [SpendSettler],
})
export class SettleSpendModule {}
