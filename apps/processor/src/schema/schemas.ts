import { contentMigrations } from '#libs/content';
import type { SchemaSpec } from '#libs/postgres';
import type { DatabaseSettings } from '../settings.js';
import { processorMigrations } from './migrations/index.js';

/** What the processor keeps, and where. */
export function schemasOf(settings: DatabaseSettings): SchemaSpec[] {
  return [
    { schema: 'processor', url: settings.databaseUrl, migrations: processorMigrations },
    { schema: 'content', url: settings.contentDatabaseUrl, migrations: contentMigrations },
  ];
}
