import { Module } from '@nestjs/common';
import { ContentStore } from '#libs/content';
import { PrometheusMetrics } from '#libs/metrics';
import { Outbox, OutboxRelay } from '#libs/messaging';
import { OpenAiGateway } from '#libs/openai-gateway';
import { Database } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { WebhookSender } from '#libs/webhooks';
import { workflows } from '#libs/workflows';
import { OWNER } from '../connections.module.js';
import { PROCESSOR_SETTINGS, type ProcessorSettings } from '../settings.js';
import { AnnounceWaitingStore } from './announce-waiting.store.js';
import { CheckPointsStore } from './check-points.store.js';
import { ClaimRunsStore } from './claim-runs.store.js';
import { EffectLedger } from './effect-ledger.store.js';
import { Keeper } from './keeper.js';
import { LeasesStore } from './leases.store.js';
import { RunMovesStore } from './run-moves.store.js';
import { RunSlots } from './run-slots.js';

const LEASE_MS = 10_000;
const RENEW_MS = 3_000;
const LEASE_MARGIN_MS = 2_000;

/** The processor *executes runs*: claim, steps, outcome. */
@Module({
  providers: [
    {
      provide: Keeper,
      inject: [Database, OWNER, JsonLog, PrometheusMetrics],
      useFactory: (database: Database, owner: string, log: JsonLog, metrics: PrometheusMetrics) =>
        new Keeper(
          new LeasesStore(database, owner, LEASE_MS),
          { leaseMs: LEASE_MS, renewMs: RENEW_MS, marginMs: LEASE_MARGIN_MS },
          log,
          metrics,
        ),
    },
    {
      provide: AnnounceWaitingStore,
      inject: [Database, Outbox],
      useFactory: (database: Database, outbox: Outbox) =>
        new AnnounceWaitingStore(database, outbox),
    },
    {
      provide: RunSlots,
      inject: [
        Database,
        Outbox,
        OutboxRelay,
        ContentStore,
        OpenAiGateway,
        WebhookSender,
        Keeper,
        OWNER,
        PROCESSOR_SETTINGS,
        JsonLog,
        PrometheusMetrics,
      ],
      useFactory: (
        database: Database,
        outbox: Outbox,
        relay: OutboxRelay,
        contents: ContentStore,
        gateway: OpenAiGateway,
        webhooks: WebhookSender,
        keeper: Keeper,
        owner: string,
        settings: ProcessorSettings,
        log: JsonLog,
        metrics: PrometheusMetrics,
      ) =>
        new RunSlots({
          store: new ClaimRunsStore(database, outbox, owner, LEASE_MS),
          keeper,
          tools: {
            workflows,
            contents,
            gateway,
            database,
            checkPoints: new CheckPointsStore(database),
            effects: new EffectLedger(database),
            webhooks,
            webhookTargets: settings.webhookTargets,
            moves: new RunMovesStore(database, outbox, relay),
            log,
            metrics,
            inlineResultBytes: settings.inlineResultBytes,
            nowMs: Date.now,
            random: Math.random,
          },
          slots: settings.runSlots,
          log,
        }),
    },
  ],
  exports: [Keeper, RunSlots, AnnounceWaitingStore],
})
export class ExecuteRunsModule {}
