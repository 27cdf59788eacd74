/**
 * Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI (dev/simulator).
 * Several gateways over one database play several processors; an owner is a claim with a fence, a signal and a lease.
 */
import { randomUUID } from 'node:crypto';
import {
  type AnchorOptions,
  callIdOf,
  type CallOwner,
  type DayBudgets,
  gatewayMigrations,
  type GatewayOptions,
  type GatewayTiming,
  type ModelCallRequest,
  OpenAiGateway,
  type OutagePolicy,
  type PoolLimits,
  type PriceSettings,
  type TellOutage,
  type WebhookOptions,
} from '#libs/openai-gateway';
import type { Metrics } from '#libs/metrics';
import { Database, migrate, type Statement, type Tx } from '#libs/postgres';
import type { Fault } from '../../dev/simulator/faults.js';
import { type Simulator, startSimulator } from '../../dev/simulator/simulator.js';
import { patienceMs } from './patience.js';
import { freshDatabase } from './stack.js';

export interface GatewayFixture {
  readonly database: Database;
  readonly databaseUrl: string;
  readonly simulator: Simulator;
  /** A gateway as a processor of its own would have it. */
  gateway(timing?: Partial<GatewayTiming>, options?: GatewayChanges): OpenAiGateway;
  /** The ledger's row, as columns. */
  readonly ledgerRow: (callId: string) => Promise<Record<string, unknown>>;
  readonly rowOf: (request: ModelCallRequest) => Promise<Record<string, unknown>>;
  /** What OpenAI does with the call's requests, one after the other; then it does as it should. */
  readonly script: (request: ModelCallRequest, ...faults: readonly Fault[]) => void;
  /** How often it was sent. */
  readonly sentOf: (request: ModelCallRequest) => number;
  /** How often it was paid for. */
  readonly chargesOf: (request: ModelCallRequest) => number;
  /** Resolves when nobody knows what became of its sending of this number, from 1. */
  readonly untilLost: (request: ModelCallRequest, attempt?: number) => Promise<void>;
  /** As if so much more time had passed since it was sent: a call's time limit is counted in the ledger while its outcome is unknown. */
  readonly timePasses: (request: ModelCallRequest, ms: number) => Promise<void>;
  /** Everything that any gateway logged, as one text. */
  readonly logged: () => string;
  readonly stop: () => Promise<void>;
}

export interface GatewayChanges {
  readonly baseUrl?: string;
  readonly webhooks?: WebhookOptions;
  readonly accounts?: Pick<GatewayOptions, 'lacks' | 'accounts' | 'routes'>;
  readonly limits?: readonly PoolLimits[];
  readonly dayBudgets?: DayBudgets;
  readonly prices?: PriceSettings;
  readonly outages?: Partial<OutagePolicy>;
  readonly tellOutage?: TellOutage;
  readonly metrics?: Metrics;
  readonly anchors?: AnchorOptions;
  /** Stands around a ledger statement, by its name: a moment to be paused in, or a lost answer. */
  readonly around?: Readonly<Record<string, (run: () => Promise<unknown>) => Promise<unknown>>>;
  /** Told when a transaction is committed. */
  readonly afterTransaction?: () => void;
}

/** Pauses are short. Limits are the product's own: only a spec that is about one lowers it, and then nothing else is to beat it. */
const quick: Partial<GatewayTiming> = {
  firstPollMs: 20,
  maxPollMs: 50,
  resendPauseMs: 1,
  closeGraceMs: 100,
};

/** For the specs of one file: it starts before them and stops after them, and each of them finds OpenAI without faults. */
export function gatewayFixture(tables: Tables = 'own'): GatewayFixture {
  let started: GatewayFixture | undefined;
  const now = (): GatewayFixture => {
    if (started === undefined) throw new Error('the gateway is there once the specs run');
    return started;
  };
  beforeAll(async () => {
    started = await startGatewayFixture(tables);
  });
  beforeEach(() => now().simulator.clearFaults());
  afterAll(() => started?.stop());
  return {
    get database() {
      return now().database;
    },
    get databaseUrl() {
      return now().databaseUrl;
    },
    get simulator() {
      return now().simulator;
    },
    gateway: (timing, changes) => now().gateway(timing, changes),
    ledgerRow: (callId) => now().ledgerRow(callId),
    rowOf: (request) => now().rowOf(request),
    script: (request, ...faults) => now().script(request, ...faults),
    sentOf: (request) => now().sentOf(request),
    chargesOf: (request) => now().chargesOf(request),
    untilLost: (request, attempt) => now().untilLost(request, attempt),
    timePasses: (request, ms) => now().timePasses(request, ms),
    logged: () => now().logged(),
    stop: () => now().stop(),
  };
}

/** Those of the gateway alone, or all that a processor has. */
type Tables = 'own' | 'migrated';

interface GatewayDatabase {
  readonly url: string;
  readonly database: Database;
  readonly drop: () => Promise<void>;
}

export async function gatewayDatabase(
  maxConnections: number,
  tables: Tables = 'own',
): Promise<GatewayDatabase> {
  const fresh = await freshDatabase(tables === 'own' ? 'empty' : tables);
  const { url } = fresh;
  if (tables === 'own') await migrate({ url, schema: 'processor', migrations: gatewayMigrations });
  const database = new Database({ url, applicationName: 'gateway-spec', maxConnections });
  return {
    ...{ url, database },
    drop: async () => {
      await database.close();
      await fresh.drop();
    },
  };
}

export async function startGatewayFixture(tables: Tables = 'own'): Promise<GatewayFixture> {
  const { url, database, drop } = await gatewayDatabase(4, tables);
  const simulator = await startSimulator({ latencyMs: 20 });
  const gateways: OpenAiGateway[] = [];
  const lines: string[] = [];
  const note = (fields: object, message: string) =>
    void lines.push(`${message} ${inspect(fields)}`);
  const ledgerRow = async (callId: string) => {
    const { rows } = await database.query('SELECT * FROM processor.calls WHERE call_id = $1', [
      callId,
    ]);
    return rows[0] ?? {};
  };
  return {
    database,
    databaseUrl: url,
    simulator,
    gateway: (timing = {}, changes = {}) => {
      const {
        baseUrl = simulator.baseUrl,
        around,
        afterTransaction,
        accounts,
        ...options
      } = changes;
      const gateway = new OpenAiGateway({
        database: surrounded(database, around, afterTransaction),
        baseUrl,
        apiKey: 'sk-spec',
        log: { debug: note, info: note, warn: note, error: note },
        timing: { ...quick, ...timing },
        ...accounts,
        ...options,
        outages: { verdictMs: 50, ...options.outages },
      });
      gateways.push(gateway);
      return gateway;
    },
    ledgerRow,
    rowOf: (request) => ledgerRow(callIdOf(request)),
    script: (request, ...faults) => {
      const match = { callId: callIdOf(request) };
      simulator.addFaults(faults.map((fault) => ({ match, fault })));
    },
    sentOf: (request) =>
      simulator
        .requests()
        .filter((one) => one.callId === callIdOf(request) && one.operation === 'create').length,
    chargesOf: (request) => simulator.charges().byCallId[callIdOf(request)] ?? 0,
    untilLost: (request, attempt = 1) =>
      until(`sending ${attempt} is lost`, async () => {
        const row = await ledgerRow(callIdOf(request));
        return row['state'] === 'unknown' && row['attempt_count'] === attempt;
      }),
    timePasses: async (request, ms) => {
      await database.query(
        `UPDATE processor.calls SET sending_at = sending_at - $2 * interval '1 ms' WHERE call_id = $1`,
        [callIdOf(request), ms],
      );
    },
    logged: () => lines.join('\n'),
    stop: async () => {
      await Promise.all(gateways.map((gateway) => gateway.close()));
      await simulator.close();
      await drop();
    },
  };
}

const surrounded = (
  database: Database,
  around: GatewayChanges['around'] = {},
  afterTransaction?: () => void,
): Database =>
  new Proxy(database, {
    get: (target, property) => {
      if (property === 'transaction')
        return async <T>(work: (tx: Tx) => Promise<T>) => {
          const result = await target.transaction(work);
          afterTransaction?.();
          return result;
        };
      if (property !== 'query') return Reflect.get(target, property) as unknown;
      return async (statement: Statement, values: readonly unknown[]) => {
        const run = () => target.query(statement, values);
        return (await around[statement.name]?.(run)) ?? run();
      };
    },
  });

const inspect = (fields: object): string =>
  JSON.stringify(fields, (_, value: unknown) =>
    value instanceof Error ? `${value.message} ${value.stack ?? ''}` : value,
  );

export const aRequest = (changes: Partial<ModelCallRequest> = {}): ModelCallRequest => ({
  tenant: 'default',
  priority: 'interactive',
  runId: randomUUID(),
  step: 0,
  item: 0,
  try: 1,
  model: 'gpt-5.2',
  instructions: 'Answer the question in one sentence.',
  input: 'What keeps the sky from falling on our heads?',
  maxOutputTokens: 400,
  mode: 'background',
  callTimeoutMs: 60_000,
  whenUnknown: 'hold',
  budget: { workflow: 'answer', runLimit: null, triesByPolicy: 5 },
  ...changes,
});

export interface SpecOwner extends CallOwner {
  /** The owner stops working on the run: shutdown, or its process is gone. */
  stop(): void;
  loseLease(): void;
}

export function anOwner(fence = 1n): SpecOwner {
  const controller = new AbortController();
  let alive = true;
  return {
    fence,
    signal: controller.signal,
    isLeaseAlive: () => alive,
    stop: () => controller.abort(),
    loseLease: () => (alive = false),
  };
}

/** Waits for a fact to become true; fails with its name. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const givenUpAt = Date.now() + patienceMs;
  while (!(await isTrue())) {
    if (Date.now() > givenUpAt) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
