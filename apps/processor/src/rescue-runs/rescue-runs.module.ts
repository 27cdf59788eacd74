import { Module } from '@nestjs/common';
import { PrometheusMetrics } from '#libs/metrics';
import { Outbox, OutboxRelay } from '#libs/messaging';
import { Database } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { ExecuteRunsModule } from '../execute-runs/execute-runs.module.js';
import { RunSlots } from '../execute-runs/run-slots.js';
import { RescueRunsStore } from './rescue-runs.store.js';
import { Rescuer } from './rescuer.js';

/** The processor *rescues runs*: those whose owner is gone, and retries whose message is. */
@Module({
  imports: [ExecuteRunsModule],
  providers: [
    {
      provide: Rescuer,
      inject: [Database, Outbox, OutboxRelay, RunSlots, JsonLog, PrometheusMetrics],
      useFactory: (
        database: Database,
        outbox: Outbox,
        relay: OutboxRelay,
        slots: RunSlots,
        log: JsonLog,
        metrics: PrometheusMetrics,
      ) =>
        new Rescuer(new RescueRunsStore(database, outbox), log, metrics, () => {
          slots.hint();
          relay.hint();
        }),
    },
  ],
  exports: [Rescuer],
})
export class RescueRunsModule {}
