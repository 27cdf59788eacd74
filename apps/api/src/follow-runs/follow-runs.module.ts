import { Module } from '@nestjs/common';
import { Database, Notifications } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { RunWaits } from '../run-waits.js';
import { RUN_EVENTS_CHANNEL } from '../schema/index.js';
import { FollowEventsController } from './follow-events.controller.js';
import { FollowRunsController } from './follow-runs.controller.js';
import { FollowRunsStore } from './follow-runs.store.js';
import { RunEventsController } from './run-events.controller.js';
import { RunResultController } from './run-result.controller.js';
import { WatchHub } from './watch-hub.js';

/** Callers *follow runs*: views, pages, results, histories, streams; all read from the read model. */
@Module({
  controllers: [
    FollowRunsController,
    RunResultController,
    RunEventsController,
    FollowEventsController,
  ],
  providers: [
    {
      provide: FollowRunsStore,
      inject: [Database],
      useFactory: (database: Database) => new FollowRunsStore(database),
    },
    {
      provide: WatchHub,
      inject: [FollowRunsStore, Notifications, JsonLog],
      useFactory: (store: FollowRunsStore, notifications: Notifications, log: JsonLog) => {
        const onError = (error: unknown) =>
          log.warn({ error }, 'streams could not be served; trying again');
        const hub = new WatchHub(store, { onError });
        notifications.listen(RUN_EVENTS_CHANNEL, () => hub.hint());
        return hub;
      },
    },
    {
      provide: RunWaits,
      inject: [FollowRunsStore, WatchHub],
      useFactory: (store: FollowRunsStore, hub: WatchHub) => new RunWaits(store, hub),
    },
  ],
  exports: [WatchHub, RunWaits],
})
export class FollowRunsModule {}
