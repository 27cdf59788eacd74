/**
 * Postgres for all of Holdfast: pool, transactions, batching, leases, notifications, migrations.
 * Mind: int8 columns are `bigint` (column-types.ts).
 */
export {
  hotStatement,
  hotStatements,
  type Rows,
  type Sql,
  statement,
  type Statement,
  type Tx,
} from './sql.js';
export { Database, type DatabaseOptions, PLANNER_OPTIONS } from './database.js';
export {
  CommitOutcomeUnknownError,
  isRowRejection,
  isTransientError,
  RowRefusedError,
  StatementNameTakenError,
  TransactionEndedError,
  TransactionRolledBackError,
} from './postgres-errors.js';
export { BatchResultsMisalignedError, type BatchRetry } from './batch-attempt.js';
export { packBytes, type PackedBytes } from './packed-bytes.js';
export { KeyedBatcher, type KeyedBatcherOptions } from './keyed-batcher.js';
export {
  createDataSource,
  type DataSourceOptions,
  type EntityClass,
  type MigrationClass,
} from './data-source.js';
export {
  migrate,
  type MigrateOptions,
  MigrationLockTimeoutError,
  ServerTooOldError,
} from './migrate.js';
export {
  migrateSchemas,
  MigrationsMissingError,
  requireMigrated,
  type SchemaSpec,
} from './schemas.js';
export { databaseProblem, migrationsProblem } from './database-health.js';
export { waitForPostgres, type WaitForPostgresOptions } from './wait-for-postgres.js';
export {
  LeaderLease,
  type LeaderLeaseOptions,
  LeaseLostError,
  leasesTableSql,
  type Term,
} from './leader-lease.js';
export { type AgedRows, removalOf, removalOfOld } from './removal.js';
export { type Retention, type RetentionRule, rulesOf } from './retention.js';
export { Sweeper, type SweeperOptions } from './sweeper.js';
export { Notifications, type NotificationsOptions } from './notifications.js';
export { v7 as uuidv7 } from 'uuid';
