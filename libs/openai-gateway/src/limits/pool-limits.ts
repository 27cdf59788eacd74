/**
 * What the fleet may ask of one model pool: models that share a limit at OpenAI, under one account and service tier.
 * Read from one value of JSON; whatever is wrong with it is said at once, with what to write instead.
 */
import { serviceTiers, type ServiceTier } from '#libs/domain';

export interface PoolKey {
  readonly account: string;
  readonly pool: string;
  readonly tier: ServiceTier;
}

export interface PoolLimits extends PoolKey {
  /** A dated snapshot (`gpt-5.2-2026-01-15`) belongs to the pool of its family. */
  readonly models: readonly string[];
  /** In `windowMs`, as OpenAI has it; null: not known. `SHARE_OF_LIMIT` of it is used. */
  readonly requests: number | null;
  readonly tokens: number | null;
  readonly windowMs: number;
  /** Calls on their way at once, over all processes. */
  readonly inFlight: number;
}

/** Others may use the account too, and OpenAI's clock is not ours. */
export const SHARE_OF_LIMIT = 0.8;
/** Where nothing is set: enough for any account, and few enough to be ended by a person. */
export const DEFAULT_IN_FLIGHT = 1_000;
const DEFAULT_TIER: ServiceTier = 'default';
const DEFAULT_ACCOUNT = 'default';
const MINUTE_MS = 60_000;

export type ParsedLimits =
  | { readonly kind: 'limits'; readonly limits: readonly PoolLimits[] }
  | { readonly kind: 'bad_limits'; readonly problems: readonly string[] };

/** @param text a JSON list of pools: see README, `PROCESSOR_OPENAI_LIMITS` */
export function parseLimits(text: string): ParsedLimits {
  const entries = parseList(text);
  if (entries === null) return { kind: 'bad_limits', problems: [NO_LIST] };
  const problems: string[] = [];
  const limits = entries.map((entry, index) => readPool(entry, `[${index}]`, problems));
  problems.push(...contradictions(limits));
  return problems.length === 0 ? { kind: 'limits', limits } : { kind: 'bad_limits', problems };
}

/** The pool that a model is in; one of its own where no pool names it. */
export function poolOf(
  limits: readonly PoolLimits[],
  {
    account,
    model,
    tier,
  }: { readonly account: string; readonly model: string; readonly tier: ServiceTier },
): PoolLimits {
  const isOurs = (limit: PoolLimits) => limit.account === account && limit.tier === tier;
  const named = (name: string) =>
    limits.find((limit) => isOurs(limit) && limit.models.includes(name));
  const found = named(model) ?? named(familyOf(model));
  if (found !== undefined) return found;
  const pool = familyOf(model);
  const nothingSet = {
    requests: null,
    tokens: null,
    windowMs: MINUTE_MS,
    inFlight: DEFAULT_IN_FLIGHT,
  };
  return { account, pool, tier, models: [pool], ...nothingSet };
}

const familyOf = (model: string): string => model.replace(/-\d{4}-\d{2}-\d{2}$/, '');

const NO_LIST =
  'must be a JSON list, as in [{"pool":"gpt-5.2","requests":500,"tokens":200000,"inFlight":50}]';
const FIELDS = [
  'account',
  'pool',
  'tier',
  'models',
  'requests',
  'tokens',
  'perSeconds',
  'inFlight',
];
/** The smallest `max_output_tokens`: under it no call would ever fit. */
const LEAST_TOKENS = 16;
const MOST = 1e12;
const MOST_IN_FLIGHT = 100_000;
const MOST_SECONDS = 7 * 86_400;

function parseList(text: string): unknown[] | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

function readPool(entry: unknown, at: string, problems: string[]): PoolLimits {
  const read = new PoolReader(entry, at, problems);
  const models = read.models();
  const pool = read.name('pool', models.length === 1 ? models[0] : undefined);
  const requests = read.number('requests', 1, MOST);
  const tokens = read.number('tokens', LEAST_TOKENS, MOST);
  const perSeconds = read.number('perSeconds', 1, MOST_SECONDS);
  const inFlight = read.number('inFlight', 1, MOST_IN_FLIGHT);
  if (!read.hasAny('requests', 'tokens', 'inFlight'))
    read.wrong('limits nothing; give requests, tokens or inFlight, or leave the pool out');
  if (perSeconds !== null && !read.hasAny('requests', 'tokens'))
    read.wrong('has perSeconds, but neither requests nor tokens in that time');
  if (requests !== null && tokens !== null && tokens < requests * LEAST_TOKENS)
    read.wrong(
      `allows ${requests} requests and ${tokens} tokens, but no call takes less than ${LEAST_TOKENS} tokens; are they swapped?`,
    );
  return {
    account: read.name('account', DEFAULT_ACCOUNT),
    pool,
    tier: read.tier(),
    models: models.length === 0 ? [pool] : models,
    ...{ requests, tokens, windowMs: (perSeconds ?? 60) * 1_000 },
    inFlight: inFlight ?? DEFAULT_IN_FLIGHT,
  };
}

/** Reads the fields of one pool and notes what is wrong with them. */
class PoolReader {
  private readonly fields: Readonly<Record<string, unknown>>;

  constructor(
    entry: unknown,
    private readonly at: string,
    private readonly problems: string[],
  ) {
    const isObject = typeof entry === 'object' && entry !== null && !Array.isArray(entry);
    this.fields = isObject ? (entry as Record<string, unknown>) : {};
    if (!isObject) this.wrong('must be an object');
    const unknown = Object.keys(this.fields).filter((name) => !FIELDS.includes(name));
    if (unknown.length > 0)
      this.wrong(`has ${unknown.join(', ')}, which means nothing; there are ${FIELDS.join(', ')}`);
  }

  wrong(reason: string): void {
    this.problems.push(`${this.at} ${reason}`);
  }

  hasAny(...names: readonly string[]): boolean {
    return names.some((name) => this.fields[name] !== undefined);
  }

  /** Letters, digits, dots, dashes and underscores: names stand in metrics and logs. */
  name(field: string, fallback: string | undefined): string {
    const value = this.fields[field] ?? fallback;
    if (typeof value === 'string' && /^[\w.:-]{1,100}$/.test(value)) return value;
    this.wrong(`needs ${field}: a name of letters, digits, ".", ":", "-" and "_"`);
    return '';
  }

  tier(): ServiceTier {
    const value = this.fields['tier'] ?? DEFAULT_TIER;
    const tier = serviceTiers.find((each) => each === value);
    if (tier === undefined) this.wrong(`needs tier: one of ${serviceTiers.join(', ')}`);
    return tier ?? DEFAULT_TIER;
  }

  models(): readonly string[] {
    const value = this.fields['models'] ?? [];
    const isNames =
      Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '');
    if (!isNames) this.wrong('needs models: a list of names');
    const names = isNames ? (value as string[]) : [];
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) this.wrong(`names ${twice} twice; once is enough`);
    return names;
  }

  number(field: string, min: number, max: number): number | null {
    const value = this.fields[field];
    if (value === undefined) return null;
    if (typeof value === 'number' && value >= min && value <= max) return value;
    this.wrong(
      `needs ${field}: a number from ${min} to ${max}; leave it out where there is no limit`,
    );
    return null;
  }
}

function contradictions(limits: readonly PoolLimits[]): string[] {
  const problems: string[] = [];
  const pools = new Set<string>();
  const poolOfModel = new Map<string, string>();
  for (const { account, pool, tier, models } of limits) {
    const where = `of account ${account}, tier ${tier}`;
    if (pools.has(`${where} ${pool}`))
      problems.push(`pool ${pool} ${where} stands there twice; merge them`);
    pools.add(`${where} ${pool}`);
    for (const model of new Set([...models, pool])) {
      const other = poolOfModel.get(`${where} ${model}`);
      if (other !== undefined && other !== pool)
        problems.push(
          `model ${model} ${where} is in ${other} and in ${pool}; leave it in one of them`,
        );
      poolOfModel.set(`${where} ${model}`, pool);
    }
  }
  return problems;
}
