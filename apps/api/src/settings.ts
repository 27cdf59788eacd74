/** What the api reads from its environment. */
import { longestTopicMs } from '#libs/contracts';
import {
  logLevels,
  retentionSettings,
  SettingReader,
  type Environment,
  type LogLevel,
  type ParsedSettings,
  type RetentionSettings,
} from '#libs/process';

export interface ApiSettings {
  /** Schema `api`: runs, history, outbox. `API_DATABASE_URL`, else `DATABASE_URL`. */
  readonly databaseUrl: string;
  /** Schema `content`: documents, inputs, results. `CONTENT_DATABASE_URL`, else `DATABASE_URL`. */
  readonly contentDatabaseUrl: string;
  /** `KAFKA_BROKERS`: host:port, separated by commas. */
  readonly kafkaBrokers: readonly string[];
  /** `HOLDFAST_TOPIC_PREFIX`: put before every topic and group, so that stacks can share a broker. Default: none. */
  readonly topicPrefix: string;
  /** `HOLDFAST_HOST`: loopback only, until callers are authenticated; another address only with
   *  `HOLDFAST_ALLOW_OPEN_HOST=without-authentication`, for containers. Default 127.0.0.1. */
  readonly host: string;
  /** `API_PORT`, default 3000; 0 takes any free port. */
  readonly port: number;
  /** `LOG_LEVEL`, default info. */
  readonly logLevel: LogLevel;
  /** `API_DATABASE_CONNECTIONS`: connections per database, default 10. */
  readonly databaseConnections: number;
  /** `API_MAX_BODY_BYTES`: largest JSON body, default 1 MiB. */
  readonly maxBodyBytes: number;
  /** `API_MAX_DOCUMENT_BYTES`: largest document, default 5 MiB. A processor splits a document in one go, a second or more for
   *  5 MiB of text: much more would keep it from renewing its leases. */
  readonly maxDocumentBytes: number;
  /** `API_MAX_UNFINISHED_RUNS`: runs that a tenant may have queued, running or retrying before more are refused; default 10,000. 0: no limit. */
  readonly maxUnfinishedRuns: number;
  /** `API_COMMAND_SOURCES`: who may send commands over Kafka, and as which tenant: `ce_source=tenant`, separated by commas.
   *  Default: nobody; every command is refused as `unknown_source`. */
  readonly commandSources: ReadonlyMap<string, string>;
  /** `API_SILENCE_MS`: how long a request may go unheard and a decision unanswered before it is sent again, default 60 s. Other
   *  states are given multiples of it (reconcile-runs/decide-ask.ts). */
  readonly silenceMs: number;
  /** `API_DRAIN_MS`: how long SIGTERM lets work in flight go on, default 10 s. */
  readonly drainMs: number;
  /** How long things are kept, by `HOLDFAST_KEEP_*`. */
  readonly keep: RetentionSettings;
}

export type DatabaseSettings = Pick<ApiSettings, 'databaseUrl' | 'contentDatabaseUrl'>;

/** Injection token of the settings. */
export const API_SETTINGS = Symbol('ApiSettings');

const MIB = 1_048_576;

export function parseSettings(env: Environment): ParsedSettings<ApiSettings> {
  const read = new SettingReader(env);
  return read.result<ApiSettings>({
    ...databaseSettings(read),
    kafkaBrokers: read.brokers('KAFKA_BROKERS'),
    topicPrefix: read.topicPrefix('HOLDFAST_TOPIC_PREFIX'),
    host: read.host('HOLDFAST_HOST', 'HOLDFAST_ALLOW_OPEN_HOST'),
    port: read.wholeNumber('API_PORT', { fallback: 3000, min: 0, max: 65_535 }),
    logLevel: read.oneOf('LOG_LEVEL', logLevels, 'info'),
    databaseConnections: read.wholeNumber('API_DATABASE_CONNECTIONS', {
      fallback: 10,
      min: 2,
      max: 500,
    }),
    maxBodyBytes: read.wholeNumber('API_MAX_BODY_BYTES', {
      fallback: MIB,
      min: 1024,
      max: 16 * MIB,
    }),
    maxDocumentBytes: read.wholeNumber('API_MAX_DOCUMENT_BYTES', {
      fallback: 5 * MIB,
      min: 1024,
      max: 1024 * MIB,
    }),
    maxUnfinishedRuns: read.wholeNumber('API_MAX_UNFINISHED_RUNS', {
      fallback: 10_000,
      min: 0,
      max: 10_000_000,
    }),
    commandSources: read.pairs('API_COMMAND_SOURCES', 'ce_source=tenant', /^[\w.-]{1,100}$/),
    silenceMs: read.wholeNumber('API_SILENCE_MS', { fallback: 60_000, min: 500, max: 3_600_000 }),
    drainMs: read.wholeNumber('API_DRAIN_MS', { fallback: 10_000, min: 0, max: 600_000 }),
    keep: retentionSettings(read, longestTopicMs()),
  });
}

/** What migrating needs: no Kafka. */
export function parseDatabaseSettings(env: Environment): ParsedSettings<DatabaseSettings> {
  const read = new SettingReader(env);
  return read.result(databaseSettings(read));
}

function databaseSettings(read: SettingReader): DatabaseSettings {
  return {
    databaseUrl: read.postgresUrl('API_DATABASE_URL', 'DATABASE_URL'),
    contentDatabaseUrl: read.postgresUrl('CONTENT_DATABASE_URL', 'DATABASE_URL'),
  };
}
