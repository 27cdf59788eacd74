import { Module } from '@nestjs/common';
import { Database } from '#libs/postgres';
import { ReportUsageController } from './report-usage.controller.js';
import { UsageStore } from './usage.store.js';

/** The api *reports usage*: what callers' runs have spent, from what their events told. */
@Module({
  controllers: [ReportUsageController],
  providers: [
    {
      provide: UsageStore,
      inject: [Database],
      useFactory: (database: Database) => new UsageStore(database),
    },
  ],
})
export class ReportUsageModule {}
