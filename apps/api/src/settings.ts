/**
 * What the api reads from its environment. `parseSettings` reports every bad setting at once, so that a deployment is mended
 * in one go; `main.ts` prints them and ends with code 78 (EX_CONFIG of sysexits.h).
 */
export interface ApiSettings {
  /** Schema `api`: runs, history, outbox. `API_DATABASE_URL`, else `DATABASE_URL`. */
  readonly databaseUrl: string;
  /** Schema `content`: documents, inputs, results. `CONTENT_DATABASE_URL`, else `DATABASE_URL`. */
  readonly contentDatabaseUrl: string;
  /** `KAFKA_BROKERS`: host:port, separated by commas. */
  readonly kafkaBrokers: readonly string[];
  /** `HOLDFAST_TOPIC_PREFIX`: put before every topic and group, so that stacks can share a broker. Default: none. */
  readonly topicPrefix: string;
  /** `HOLDFAST_HOST`: loopback only, until callers are authenticated. Default 127.0.0.1. */
  readonly host: string;
  /** `API_PORT`, default 3000; 0 takes any free port. */
  readonly port: number;
  /** `LOG_LEVEL`, default info. */
  readonly logLevel: LogLevel;
  /** `API_DATABASE_CONNECTIONS`: connections per database, default 10. */
  readonly databaseConnections: number;
  /** `API_MAX_BODY_BYTES`: largest JSON body, default 1 MiB. */
  readonly maxBodyBytes: number;
  /** `API_MAX_DOCUMENT_BYTES`: largest document, default 20 MiB. */
  readonly maxDocumentBytes: number;
  /** `API_DRAIN_MS`: how long SIGTERM lets work in flight go on, default 10 s. */
  readonly drainMs: number;
}

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface SettingProblem {
  readonly name: string;
  /** What is wrong and what to write; never the value itself, which may hold a password. */
  readonly reason: string;
}

export type DatabaseSettings = Pick<ApiSettings, 'databaseUrl' | 'contentDatabaseUrl'>;

export type ParsedSettings<Settings = ApiSettings> =
  | { readonly kind: 'settings'; readonly settings: Settings }
  | { readonly kind: 'bad_settings'; readonly problems: readonly SettingProblem[] };

export const EXIT_BAD_SETTINGS = 78;

/** Injection token of the settings. */
export const API_SETTINGS = Symbol('ApiSettings');

type Environment = Readonly<Record<string, string | undefined>>;

const LOOPBACK_HOSTS = ['127.0.0.1', '::1', 'localhost'];
const MIB = 1_048_576;

export function parseSettings(env: Environment): ParsedSettings {
  const read = new SettingReader(env);
  return read.result<ApiSettings>({
    ...databaseSettings(read),
    kafkaBrokers: read.brokers('KAFKA_BROKERS'),
    topicPrefix: read.topicPrefix('HOLDFAST_TOPIC_PREFIX'),
    host: read.loopbackHost('HOLDFAST_HOST'),
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
      fallback: 20 * MIB,
      min: 1024,
      max: 1024 * MIB,
    }),
    drainMs: read.wholeNumber('API_DRAIN_MS', { fallback: 10_000, min: 0, max: 600_000 }),
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

/** The lines that `main.ts` prints for bad settings. */
export function describeBadSettings(problems: readonly SettingProblem[]): string {
  const lines = problems.map(({ name, reason }) => `  ${name}: ${reason}`);
  return [`holdfast api: ${problems.length} bad setting(s):`, ...lines].join('\n');
}

/** Reads one setting after the other; notes what is wrong instead of throwing at the first. */
class SettingReader {
  private readonly problems: SettingProblem[] = [];

  constructor(private readonly env: Environment) {}

  result<Settings>(settings: Settings): ParsedSettings<Settings> {
    return this.problems.length === 0
      ? { kind: 'settings', settings }
      : { kind: 'bad_settings', problems: this.problems };
  }

  postgresUrl(name: string, fallbackName: string): string {
    const source = this.text(name) === undefined ? fallbackName : name;
    const url = this.text(source);
    if (url === undefined) {
      return this.wrong(
        name,
        `is not set, and neither is ${fallbackName}; write postgres://user:password@host:5432/database`,
        '',
      );
    }
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (parsed && ['postgres:', 'postgresql:'].includes(parsed.protocol)) return url;
    return this.wrong(source, 'must be postgres://user:password@host:5432/database', '');
  }

  brokers(name: string): string[] {
    const text = this.text(name);
    if (text === undefined) {
      return this.wrong(name, 'is not set; write host:port, several separated by commas', []);
    }
    const brokers = text.split(',').map((broker) => broker.trim());
    if (brokers.every((broker) => /^[^\s:]+:\d{1,5}$/.test(broker))) return brokers;
    return this.wrong(name, 'must be host:port, several separated by commas', []);
  }

  topicPrefix(name: string): string {
    const prefix = this.text(name) ?? '';
    if (/^[A-Za-z0-9._-]{0,100}$/.test(prefix)) return prefix;
    return this.wrong(name, 'may hold letters, digits, dots, underscores and dashes only', '');
  }

  loopbackHost(name: string): string {
    const host = this.text(name) ?? '127.0.0.1';
    if (LOOPBACK_HOSTS.includes(host)) return host;
    const reason = `must be one of ${LOOPBACK_HOSTS.join(', ')}: callers are not authenticated yet, so nothing else may reach the api`;
    return this.wrong(name, reason, '');
  }

  wholeNumber(name: string, range: { fallback: number; min: number; max: number }): number {
    const text = this.text(name);
    if (text === undefined) return range.fallback;
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= range.min && value <= range.max) return value;
    return this.wrong(name, `must be a whole number from ${range.min} to ${range.max}`, 0);
  }

  oneOf<Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const choice = choices.find((each) => each === text);
    return choice ?? this.wrong(name, `must be one of ${choices.join(', ')}`, fallback);
  }

  /** Empty is the same as not set. */
  private text(name: string): string | undefined {
    return this.env[name]?.trim() || undefined;
  }

  private wrong<T>(name: string, reason: string, standIn: T): T {
    if (!this.problems.some((problem) => problem.name === name)) {
      this.problems.push({ name, reason });
    }
    return standIn;
  }
}
