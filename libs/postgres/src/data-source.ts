/**
 * TypeORM's data source, for entities and migrations. Everything lies in one schema, the migrations table too,
 * so that the owners of two schemas in one database do not see each other.
 */
import { DataSource, type EntitySchema, type MigrationInterface } from 'typeorm';
import { columnTypes } from './column-types.js';

/** A class in `migrations/`, its name ending in the 13 digits of its time (TypeORM orders by them). */
export type MigrationClass = new () => MigrationInterface;
export type EntityClass = new () => object;

export interface DataSourceOptions {
  readonly url: string;
  readonly schema: string;
  readonly entities?: readonly (EntityClass | EntitySchema)[];
  readonly migrations: readonly MigrationClass[];
  /** Default 4: hot paths use `Database`. */
  readonly maxConnections?: number;
  readonly applicationName?: string;
  /** Told of every connection lost while idle; for the log. Default: nobody. */
  readonly onError?: (error: Error) => void;
}

/** Not yet connected: `initialize()` is the caller's, or Nest's. Never synchronizes; see `migrate`. */
export function createDataSource(options: DataSourceOptions): DataSource {
  return new DataSource({
    type: 'postgres',
    url: options.url,
    schema: options.schema,
    entities: [...(options.entities ?? [])],
    migrations: [...options.migrations],
    migrationsTableName: 'migrations',
    migrationsTransactionMode: 'each',
    applicationName: options.applicationName ?? `holdfast.${options.schema}`,
    poolSize: options.maxConnections ?? 4,
    connectTimeoutMS: 10_000,
    installExtensions: false,
    synchronize: false,
    logging: false,
    poolErrorHandler: (error: Error) => options.onError?.(error),
    extra: { types: columnTypes, keepAlive: true },
  });
}
