import { Module } from '@nestjs/common';
import { consumerGroups, retryTopics, topics } from '#libs/contracts';
import { PrometheusMetrics } from '#libs/metrics';
import {
  KafkaConnection,
  KafkaTransportStrategy,
  Outbox,
  OutboxRelay,
  type KafkaTransportOptions,
} from '#libs/messaging';
import { ContentStore } from '#libs/content';
import { Database } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { workflows } from '#libs/workflows';
import { ON_FATAL, type OnFatal } from '../connections.module.js';
import { RETRY_CONSUMER, WORK_CONSUMER } from '../consumers.js';
import { ExecuteRunsModule } from '../execute-runs/execute-runs.module.js';
import { RunSlots } from '../execute-runs/run-slots.js';
import { AdmitRunsController } from './admit-runs.controller.js';
import { AdmitRuns } from './admit-runs.js';
import { AdmitRunsStore } from './admit-runs.store.js';
import { DeadRecordsStore } from './dead-records.store.js';
import { GivenResultsStore } from './given-results.store.js';
import { Keeper } from '../execute-runs/keeper.js';
import { PROCESSOR_SETTINGS, type ProcessorSettings } from '../settings.js';

/** The processor *admits runs*: messages into its own tables, deduplicated; then their offsets are committed. */
@Module({
  imports: [ExecuteRunsModule],
  controllers: [AdmitRunsController],
  providers: [
    {
      provide: AdmitRuns,
      inject: [
        Database,
        Outbox,
        OutboxRelay,
        ContentStore,
        RunSlots,
        Keeper,
        PROCESSOR_SETTINGS,
        JsonLog,
        PrometheusMetrics,
      ],
      useFactory: (
        database: Database,
        outbox: Outbox,
        relay: OutboxRelay,
        contents: ContentStore,
        slots: RunSlots,
        keeper: Keeper,
        settings: ProcessorSettings,
        log: JsonLog,
        metrics: PrometheusMetrics,
      ) =>
        new AdmitRuns({
          store: new AdmitRunsStore(database, outbox, workflows),
          givenResults: new GivenResultsStore(
            database,
            contents,
            workflows,
            settings.inlineResultBytes,
          ),
          deadRecords: new DeadRecordsStore(database, outbox),
          workflows,
          relay,
          log,
          metrics,
          onReady: () => slots.hint(),
          onCancelStored: () => keeper.hint(),
        }),
    },
    {
      provide: WORK_CONSUMER,
      inject: [KafkaConnection, AdmitRuns, JsonLog, ON_FATAL],
      useFactory: (kafka: KafkaConnection, admitRuns: AdmitRuns, log: JsonLog, onFatal: OnFatal) =>
        new KafkaTransportStrategy({
          ...consuming(kafka, admitRuns, log, onFatal),
          groupId: consumerGroups.admitRuns,
          topics: [topics.runRequested],
        }),
    },
    {
      provide: RETRY_CONSUMER,
      inject: [KafkaConnection, AdmitRuns, JsonLog, ON_FATAL],
      useFactory: (kafka: KafkaConnection, admitRuns: AdmitRuns, log: JsonLog, onFatal: OnFatal) =>
        new KafkaTransportStrategy({
          ...consuming(kafka, admitRuns, log, onFatal),
          groupId: consumerGroups.admitRetries,
          tiers: retryTopics,
        }),
    },
  ],
  exports: [WORK_CONSUMER, RETRY_CONSUMER],
})
export class AdmitRunsModule {}

function consuming(
  kafka: KafkaConnection,
  admitRuns: AdmitRuns,
  log: JsonLog,
  onCrash: OnFatal,
): Pick<KafkaTransportOptions, 'kafka' | 'log' | 'onCrash' | 'onUndecodable'> {
  return { kafka, log, onCrash, onUndecodable: (record) => admitRuns.undecodable(record) };
}
