import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Module } from '@nestjs/common';
import { Outbox, OutboxRelay } from '#libs/messaging';
import { PrometheusMetrics } from '#libs/metrics';
import { Database } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { API_SETTINGS, type ApiSettings } from '../settings.js';
import { silencePolicy } from './decide-ask.js';
import { Reconciler } from './reconciler.js';
import { SilentRunsStore } from './silent-runs.store.js';
import { StuckRunsStore } from './stuck-runs.store.js';

/** The api *reconciles runs*: what has gone silent is sent again, until processor and view say the same. */
@Module({
  providers: [
    {
      provide: Reconciler,
      inject: [Database, Outbox, OutboxRelay, API_SETTINGS, JsonLog, PrometheusMetrics],
      useFactory: (
        database: Database,
        outbox: Outbox,
        relay: OutboxRelay,
        { silenceMs }: ApiSettings,
        log: JsonLog,
        metrics: PrometheusMetrics,
      ) =>
        new Reconciler({
          ...{ database, relay, log, metrics },
          store: new SilentRunsStore(database, outbox),
          policy: silencePolicy(silenceMs),
          holder: `${hostname()}.${process.pid}.${randomBytes(4).toString('hex')}`,
        }),
    },
    {
      provide: StuckRunsStore,
      inject: [Database],
      useFactory: (database: Database) => new StuckRunsStore(database),
    },
  ],
  exports: [Reconciler, StuckRunsStore],
})
export class ReconcileRunsModule {}
