/** What the processor reads from its environment. */
import { longestTopicMs } from '#libs/contracts';
import { parseLimits, type PoolLimits } from '#libs/openai-gateway';
import {
  logLevels,
  retentionSettings,
  SettingReader,
  type Environment,
  type LogLevel,
  type ParsedSettings,
  type RetentionSettings,
} from '#libs/process';
import { openAiAccounts, webhookSecrets, type OpenAiAccounts } from './openai-accounts.js';
import { isSigningSecret, type WebhookTarget } from '#libs/webhooks';
import { moneySettings, type MoneySettings } from './money-settings.js';

export interface ProcessorSettings {
  /** Schema `processor`: executions, call ledger, outbox. `PROCESSOR_DATABASE_URL`, else `DATABASE_URL`. */
  readonly databaseUrl: string;
  /** Schema `content`. `CONTENT_DATABASE_URL`, else `DATABASE_URL`. */
  readonly contentDatabaseUrl: string;
  /** `KAFKA_BROKERS`: host:port, separated by commas. */
  readonly kafkaBrokers: readonly string[];
  /** `HOLDFAST_TOPIC_PREFIX`: put before every topic and group. Default: none. */
  readonly topicPrefix: string;
  /** `HOLDFAST_HOST`: where health is answered; loopback only, but for `HOLDFAST_ALLOW_OPEN_HOST` (see the api). Default 127.0.0.1. */
  readonly host: string;
  /** `PROCESSOR_PORT`, default 3001; 0 takes any free port. */
  readonly port: number;
  /** `OPENAI_BASE_URL`, with `/v1`: always written out, never guessed. */
  readonly openaiBaseUrl: string;
  readonly openaiApiKey: string;
  /** By `PROCESSOR_OPENAI_*`. */
  readonly openai: OpenAiAccounts;
  /**
   * By account, what OpenAI signs its webhooks with: `OPENAI_WEBHOOK_SECRET` is that of `default`, `PROCESSOR_OPENAI_WEBHOOK_SECRETS`,
   * `name=whsec_…`, has those of the others. Default: none; the route is off, and nothing waits for them.
   */
  readonly webhookSecrets: ReadonlyMap<string, string>;
  /** `PROCESSOR_WEBHOOK_GRACE_MS`: how long past its time limit an unknown call waits for its webhook, default 2 min. */
  readonly webhookGraceMs: number;
  /** `PROCESSOR_OPENAI_LIMITS`: what the fleet may ask of which models, as JSON. Default: what OpenAI's headers say. */
  readonly openaiLimits: readonly PoolLimits[];
  /** `PROCESSOR_BILLING_PROBE_MS`: how often one call is let through while billing has latched the account, default 10 min. */
  readonly billingProbeMs: number;
  /** `PROCESSOR_LATCH_PROBE_MS`: the same for a refused key or a missing model, twice as long each time up to 10 min; default 30 s. */
  readonly latchProbeMs: number;
  /** `PROCESSOR_BREAKER_OPEN_MS`: how long a lane rests when its calls fail in a row, at first; up to 1 min later. Default 5 s. */
  readonly breakerOpenMs: number;
  /**
   * `OPENAI_CONVERSATIONS`: which calls are sent on a conversation, from which a lost answer can be taken: those in the `background`
   * (default), `all`, or none (`off`), as where the endpoint has no conversations. A step may say otherwise.
   */
  readonly conversations: 'background' | 'all' | 'off';
  readonly logLevel: LogLevel;
  /** `PROCESSOR_RUN_SLOTS`: runs carried at once, default 32. */
  readonly runSlots: number;
  /** `PROCESSOR_DATABASE_CONNECTIONS`: connections per database, default 10. */
  readonly databaseConnections: number;
  /** `PROCESSOR_INLINE_RESULT_BYTES`: results up to this size travel in RunCompleted, default 32 KiB; 0: none does. */
  readonly inlineResultBytes: number;
  /** `PROCESSOR_DRAIN_MS`: how long SIGTERM lets runs in hand go on before they are given back, default 10 s. */
  readonly drainMs: number;
  /** By name: `PROCESSOR_WEBHOOK_TARGETS`, `name=url`, and of each its secret in `PROCESSOR_WEBHOOK_SECRETS`. Default: none. */
  readonly webhookTargets: ReadonlyMap<string, WebhookTarget>;
  /** `PROCESSOR_WEBHOOK_PRIVATE_ADDRESSES`: whether webhooks may go to this machine and its network, by http too. Default refused. */
  readonly webhookPrivateAddresses: 'refused' | 'allowed';
  /**
   * Prices beside those of the list (`PROCESSOR_MODEL_PRICES`; `*`: every unknown model), and what tenants and workflows may spend
   * per UTC day (`PROCESSOR_TENANT_DAY_BUDGETS`, `PROCESSOR_WORKFLOW_DAY_BUDGETS`). Default: the list, and no budgets.
   */
  readonly money: MoneySettings;
  /** How long things are kept, by `HOLDFAST_KEEP_*`. */
  readonly keep: RetentionSettings;
}

export type DatabaseSettings = Pick<ProcessorSettings, 'databaseUrl' | 'contentDatabaseUrl'>;

const KIB = 1024;

export function parseSettings(env: Environment): ParsedSettings<ProcessorSettings> {
  const read = new SettingReader(env);
  const openai = openAiAccounts(read);
  return read.result<ProcessorSettings>({
    ...databaseSettings(read),
    kafkaBrokers: read.brokers('KAFKA_BROKERS'),
    topicPrefix: read.topicPrefix('HOLDFAST_TOPIC_PREFIX'),
    host: read.host('HOLDFAST_HOST', 'HOLDFAST_ALLOW_OPEN_HOST'),
    port: read.wholeNumber('PROCESSOR_PORT', { fallback: 3001, min: 0, max: 65_535 }),
    openaiBaseUrl: read.httpUrl('OPENAI_BASE_URL'),
    openaiApiKey: read.secret('OPENAI_API_KEY'),
    openai,
    webhookSecrets: webhookSecrets(read, openai),
    webhookGraceMs: read.wholeNumber('PROCESSOR_WEBHOOK_GRACE_MS', {
      fallback: 120_000,
      min: 1_000,
      max: 3_600_000,
    }),
    openaiLimits: openaiLimits(read),
    billingProbeMs: read.wholeNumber('PROCESSOR_BILLING_PROBE_MS', {
      fallback: 600_000,
      min: 1_000,
      max: 86_400_000,
    }),
    latchProbeMs: read.wholeNumber('PROCESSOR_LATCH_PROBE_MS', {
      fallback: 30_000,
      min: 1_000,
      max: 600_000,
    }),
    breakerOpenMs: read.wholeNumber('PROCESSOR_BREAKER_OPEN_MS', {
      fallback: 5_000,
      min: 100,
      max: 60_000,
    }),
    conversations: read.oneOf('OPENAI_CONVERSATIONS', ['background', 'all', 'off'], 'background'),
    logLevel: read.oneOf('LOG_LEVEL', logLevels, 'info'),
    runSlots: read.wholeNumber('PROCESSOR_RUN_SLOTS', { fallback: 32, min: 1, max: 10_000 }),
    databaseConnections: read.wholeNumber('PROCESSOR_DATABASE_CONNECTIONS', {
      fallback: 10,
      min: 3,
      max: 500,
    }),
    inlineResultBytes: read.wholeNumber('PROCESSOR_INLINE_RESULT_BYTES', {
      fallback: 32 * KIB,
      min: 0,
      max: 512 * KIB,
    }),
    drainMs: read.wholeNumber('PROCESSOR_DRAIN_MS', { fallback: 10_000, min: 0, max: 600_000 }),
    webhookTargets: webhookTargets(read),
    webhookPrivateAddresses: read.oneOf(
      'PROCESSOR_WEBHOOK_PRIVATE_ADDRESSES',
      ['refused', 'allowed'],
      'refused',
    ),
    money: moneySettings(read),
    keep: retentionSettings(read, longestTopicMs()),
  });
}

const LIMITS = 'PROCESSOR_OPENAI_LIMITS';

function openaiLimits(read: SettingReader): readonly PoolLimits[] {
  const text = read.optionalText(LIMITS);
  if (text === undefined) return [];
  const parsed = parseLimits(text);
  if (parsed.kind === 'limits') return parsed.limits;
  read.refuse(LIMITS, parsed.problems.join('; '));
  return [];
}

const TARGETS = 'PROCESSOR_WEBHOOK_TARGETS';
const SECRETS = 'PROCESSOR_WEBHOOK_SECRETS';

/** Each receiver has a secret of its own: with a shared one, one could speak in our name to another. */
function webhookTargets(read: SettingReader): ReadonlyMap<string, WebhookTarget> {
  const urls = read.named(TARGETS, 'name=https://host/path', isWebhookUrl);
  const form = 'name=whsec_… with 24 to 64 bytes in base64';
  const secrets = read.named(SECRETS, form, isSigningSecret);
  const lacking = [...urls.keys()].filter((name) => !secrets.has(name));
  if (lacking.length > 0) read.refuse(SECRETS, `has no secret for ${lacking.join(', ')}`);
  const unused = [...secrets.keys()].filter((name) => !urls.has(name));
  if (unused.length > 0) read.refuse(TARGETS, `has no address for ${unused.join(', ')}`);
  return new Map(
    [...urls].map(([name, text]) => {
      const secret = secrets.get(name) ?? '';
      return [name, { name, url: URL.parse(text) ?? new URL('https://unread.invalid'), secret }];
    }),
  );
}

function isWebhookUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  return ['http:', 'https:'].includes(url.protocol);
}

/** What migrating needs: no Kafka, no OpenAI. */
export function parseDatabaseSettings(env: Environment): ParsedSettings<DatabaseSettings> {
  const read = new SettingReader(env);
  return read.result(databaseSettings(read));
}

function databaseSettings(read: SettingReader): DatabaseSettings {
  return {
    databaseUrl: read.postgresUrl('PROCESSOR_DATABASE_URL', 'DATABASE_URL'),
    contentDatabaseUrl: read.postgresUrl('CONTENT_DATABASE_URL', 'DATABASE_URL'),
  };
}

/** Injection token of the settings. */
export const PROCESSOR_SETTINGS = Symbol('ProcessorSettings');
