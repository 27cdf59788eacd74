import { Module } from '@nestjs/common';
import { ContentStore } from '#libs/content';
import { PrometheusMetrics } from '#libs/metrics';
import { Outbox, OutboxRelay } from '#libs/messaging';
import { Database } from '#libs/postgres';
import { CONTENT_DATABASE } from '../connections.module.js';
import { FollowRunsModule } from '../follow-runs/follow-runs.module.js';
import { API_SETTINGS, type ApiSettings } from '../settings.js';
import { AcceptRunsStore } from './accept-runs.store.js';
import { DocumentsStore } from './documents.store.js';
import { StoreDocumentsController } from './store-documents.controller.js';
import { SubmitRunsController } from './submit-runs.controller.js';
import { SubmitRuns } from './submit-runs.js';
import { UnfinishedRuns } from './unfinished-runs.js';
import { UnfinishedRunsStore } from './unfinished-runs.store.js';

/** The api *submits runs*: documents and requests in, run and outbox row in one transaction. */
@Module({
  imports: [FollowRunsModule], // for those who wait for the run they have asked for
  controllers: [SubmitRunsController, StoreDocumentsController],
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
      provide: DocumentsStore,
      inject: [ContentStore, CONTENT_DATABASE],
      useFactory: (contents: ContentStore, database: Database) =>
        new DocumentsStore(contents, database),
    },
  ],
})
export class SubmitRunsModule {}
