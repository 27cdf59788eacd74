import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Module } from '@nestjs/common';
import { ContentStore } from '#libs/content';
import { Database, rulesOf, Sweeper } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { apiRetention, neededByRuns } from '../schema/index.js';
import { API_SETTINGS, type ApiSettings } from '../settings.js';

/** The api *removes* what is *expired*: one process of them at a time, by the rules of `schema/retention.store.ts`. */
@Module({
  providers: [
    {
      provide: Sweeper,
      inject: [API_SETTINGS, Database, ContentStore, JsonLog],
      useFactory: (
        settings: ApiSettings,
        database: Database,
        contents: ContentStore,
        log: JsonLog,
      ) =>
        new Sweeper({
          database,
          schema: 'api',
          holder: `${hostname()}.${process.pid}.${randomBytes(4).toString('hex')}`,
          rules: rulesOf(apiRetention),
          stores: {
            database,
            contents,
            neededUntil: neededByRuns(database, settings.keep.detailMs),
          },
          keepMs: settings.keep,
          log,
        }),
    },
  ],
  exports: [Sweeper],
})
export class RemoveExpiredModule {}
