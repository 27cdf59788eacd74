import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Module } from '@nestjs/common';
import { ContentStore } from '#libs/content';
import { Database, rulesOf, Sweeper } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { processorRetention, neededByExecutions } from '../schema/index.js';
import { PROCESSOR_SETTINGS, type ProcessorSettings } from '../settings.js';

/** The processor *removes* what is *expired*: one process of them at a time, by the rules of `schema/retention.store.ts`. */
@Module({
  providers: [
    {
      provide: Sweeper,
      inject: [PROCESSOR_SETTINGS, Database, ContentStore, JsonLog],
      useFactory: (
        settings: ProcessorSettings,
        database: Database,
        contents: ContentStore,
        log: JsonLog,
      ) =>
        new Sweeper({
          database,
          schema: 'processor',
          holder: `${hostname()}.${process.pid}.${randomBytes(4).toString('hex')}`,
          rules: rulesOf(processorRetention),
          stores: {
            database,
            contents,
            neededUntil: neededByExecutions(database, settings.keep.detailMs),
          },
          keepMs: settings.keep,
          log,
        }),
    },
  ],
  exports: [Sweeper],
})
export class RemoveExpiredModule {}
