import { Module } from '@nestjs/common';
import { consumerGroups, topics } from '#libs/contracts';
import { PrometheusMetrics } from '#libs/metrics';
import { KafkaConnection, KafkaTransportStrategy } from '#libs/messaging';
import { Database, Notifications } from '#libs/postgres';
import { ON_FATAL, type OnFatal } from '../connections.module.js';
import { JsonLog } from '#libs/process';
import { RUN_EVENTS_CHANNEL } from '../schema/index.js';
import { ParkedEventsStore } from './parked-events.store.js';
import { ProjectEventsStore } from './project-events.store.js';
import { ProjectRunsController } from './project-runs.controller.js';
import { ProjectRuns } from './project-runs.js';
import { SettleSpendStore } from './settle-spend.store.js';

/** The api *projects runs*: run events into the read model, each once, in the order of `version`. */
@Module({
  controllers: [ProjectRunsController],
  providers: [
    {
      provide: ProjectEventsStore,
      inject: [Database, PrometheusMetrics],
      useFactory: (database: Database, metrics: PrometheusMetrics) =>
        new ProjectEventsStore(database, metrics),
    },
    {
      provide: ParkedEventsStore,
      inject: [Database],
      useFactory: (database: Database) => new ParkedEventsStore(database),
    },
    {
      provide: SettleSpendStore,
      inject: [Database],
      useFactory: (database: Database) => new SettleSpendStore(database),
    },
    {
      provide: ProjectRuns,
      inject: [
        ...[ProjectEventsStore, ParkedEventsStore, SettleSpendStore],
        ...[JsonLog, Notifications, PrometheusMetrics],
      ],
      useFactory: (
        events: ProjectEventsStore,
        parked: ParkedEventsStore,
        spend: SettleSpendStore,
        log: JsonLog,
        notifications: Notifications,
        metrics: PrometheusMetrics,
      ) => {
        const onApplied = () => notifications.notify(RUN_EVENTS_CHANNEL);
        return new ProjectRuns(events, parked, spend, log, onApplied, metrics);
      },
    },
    {
      provide: KafkaTransportStrategy,
      inject: [KafkaConnection, ProjectRuns, JsonLog, ON_FATAL],
      useFactory: (
        kafka: KafkaConnection,
        projection: ProjectRuns,
        log: JsonLog,
        onFatal: OnFatal,
      ) =>
        new KafkaTransportStrategy({
          kafka,
          groupId: consumerGroups.projectRuns,
          topics: [topics.runEvents],
          log,
          onCrash: onFatal,
          onUndecodable: (record) => projection.takeUndecodable(record),
        }),
    },
  ],
  exports: [KafkaTransportStrategy, ParkedEventsStore, ProjectRuns],
})
export class ProjectRunsModule {}
