import { Module } from '@nestjs/common';
import { ContentStore } from '#libs/content';
import { consumerGroups, topics } from '#libs/contracts';
import { PrometheusMetrics } from '#libs/metrics';
import {
  KafkaConnection,
  KafkaTransportStrategy,
  MAX_MESSAGE_BYTES,
  Outbox,
  OutboxRelay,
} from '#libs/messaging';
import { Database } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { CONTENT_DATABASE, ON_FATAL, type OnFatal } from '../connections.module.js';
import { COMMANDS_CONSUMER } from '../consumers.js';
import { DecideRunsModule } from '../decide-runs/decide-runs.module.js';
import { DecideRuns } from '../decide-runs/decide-runs.js';
import { FollowRunsModule } from '../follow-runs/follow-runs.module.js';
import { API_SETTINGS, type ApiSettings } from '../settings.js';
import { AcceptRunsStore } from './accept-runs.store.js';
import { DocumentsStore } from './documents.store.js';
import { RefusedCommandsStore } from './refused-commands.store.js';
import { StoreDocumentsController } from './store-documents.controller.js';
import { SubmitRunsController } from './submit-runs.controller.js';
import { SubmitRuns } from './submit-runs.js';
import { TakeCommandsController } from './take-commands.controller.js';
import { TakeCommands } from './take-commands.js';
import { UnfinishedRuns } from './unfinished-runs.js';
import { UnfinishedRunsStore } from './unfinished-runs.store.js';

/** The api *submits runs*: documents, requests and commands in, run and outbox row in one transaction. */
@Module({
  imports: [
    FollowRunsModule, // for those who wait for the run they have asked for
    DecideRunsModule, // for those who cancel over Kafka
  ],
  controllers: [SubmitRunsController, StoreDocumentsController, TakeCommandsController],
  providers: [
    {
      provide: SubmitRuns,
      inject: [Database, Outbox, OutboxRelay, ContentStore, API_SETTINGS, PrometheusMetrics],
      useFactory: (
        database: Database,
        outbox: Outbox,
        relay: OutboxRelay,
        contents: ContentStore,
        { maxUnfinishedRuns }: ApiSettings,
        metrics: PrometheusMetrics,
      ) =>
        new SubmitRuns(
          new AcceptRunsStore(database, outbox, relay),
          contents,
          new UnfinishedRuns(new UnfinishedRunsStore(database), maxUnfinishedRuns),
          metrics,
        ),
    },
    {
      provide: TakeCommands,
      inject: [SubmitRuns, DecideRuns, Database, Outbox, OutboxRelay, API_SETTINGS, JsonLog],
      useFactory: (
        runs: SubmitRuns,
        decisions: DecideRuns,
        database: Database,
        outbox: Outbox,
        relay: OutboxRelay,
        { commandSources }: ApiSettings,
        log: JsonLog,
      ) =>
        new TakeCommands({
          ...{ runs, decisions, log },
          refusals: new RefusedCommandsStore(database, outbox, relay),
          tenants: commandSources,
        }),
    },
    {
      provide: COMMANDS_CONSUMER,
      inject: [KafkaConnection, TakeCommands, API_SETTINGS, JsonLog, ON_FATAL],
      useFactory: (
        kafka: KafkaConnection,
        commands: TakeCommands,
        { maxBodyBytes }: ApiSettings,
        log: JsonLog,
        onCrash: OnFatal,
      ) =>
        new KafkaTransportStrategy({
          ...{ kafka, log, onCrash },
          groupId: consumerGroups.submitRuns,
          topics: [topics.runCommands],
          maxMessageBytes: Math.min(maxBodyBytes, MAX_MESSAGE_BYTES),
          onUndecodable: (record) => commands.takeUndecodable(record),
        }),
    },
    {
      provide: DocumentsStore,
      inject: [ContentStore, CONTENT_DATABASE],
      useFactory: (contents: ContentStore, database: Database) =>
        new DocumentsStore(contents, database),
    },
  ],
  exports: [COMMANDS_CONSUMER],
})
export class SubmitRunsModule {}
