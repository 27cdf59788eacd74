import { Module } from '@nestjs/common';
import { ContentStore } from '#libs/content';
import { Outbox, OutboxRelay } from '#libs/messaging';
import { Database, Notifications } from '#libs/postgres';
import { workflows } from '#libs/workflows';
import { RUN_EVENTS_CHANNEL } from '../schema/index.js';
import { DecideRunsController } from './decide-runs.controller.js';
import { DecideRuns } from './decide-runs.js';
import { DecisionsStore } from './decisions.store.js';

/** People *decide runs*: cancel, redrive, discard, complete by hand; the processor carries it out. */
@Module({
  controllers: [DecideRunsController],
  providers: [
    {
      provide: DecideRuns,
      inject: [Database, Outbox, OutboxRelay, ContentStore, Notifications],
      useFactory: (
        database: Database,
        outbox: Outbox,
        relay: OutboxRelay,
        contents: ContentStore,
        notifications: Notifications,
      ) =>
        new DecideRuns(new DecisionsStore(database, outbox), contents, workflows, () => {
          relay.hint();
          notifications.notify(RUN_EVENTS_CHANNEL);
        }),
    },
  ],
  exports: [DecideRuns],
})
export class DecideRunsModule {}
