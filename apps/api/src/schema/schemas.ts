import { contentMigrations } from '#libs/content';
import type { SchemaSpec } from '#libs/postgres';
import type { DatabaseSettings } from '../settings.js';
import { apiMigrations } from './migrations/index.js';

/** What the api keeps, and where. */
export function schemasOf(settings: DatabaseSettings): SchemaSpec[] {
  return [
    { schema: 'api', url: settings.databaseUrl, migrations: apiMigrations },
    { schema: 'content', url: settings.contentDatabaseUrl, migrations: contentMigrations },
  ];
}
