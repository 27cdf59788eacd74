/** What the settings say of accounts with OpenAI besides `default`, what endpoints lack, and which account a model's calls go to. */
import {
  capabilities,
  DEFAULT_ACCOUNT,
  type AccountOptions,
  type AccountRoutes,
  type Capability,
} from '#libs/openai-gateway';
import type { SettingReader } from '#libs/process';
import { isSigningSecret } from '#libs/webhooks';

export interface OpenAiAccounts {
  /** Of the account `default`. */
  readonly lacks: readonly Capability[];
  /** Further ones: `PROCESSOR_OPENAI_ACCOUNTS`, `name=url`, and of each its key in `PROCESSOR_OPENAI_KEYS`. Default: none. */
  readonly accounts: readonly AccountOptions[];
  /** `PROCESSOR_OPENAI_ROUTES`, `model=account+account`. Default: every model has `default`. */
  readonly routes: AccountRoutes;
}

const ACCOUNTS = 'PROCESSOR_OPENAI_ACCOUNTS';
const KEYS = 'PROCESSOR_OPENAI_KEYS';
const LACKS = 'PROCESSOR_OPENAI_LACKS';
const ROUTES = 'PROCESSOR_OPENAI_ROUTES';
const WEBHOOK_SECRETS = 'PROCESSOR_OPENAI_WEBHOOK_SECRETS';

export function openAiAccounts(read: SettingReader): OpenAiAccounts {
  const urls = read.named(ACCOUNTS, 'name=https://host/v1', isEndpoint);
  const keys = read.named(KEYS, 'name=key', (key) => /^[\x21-\x7e]+$/.test(key));
  const known = [DEFAULT_ACCOUNT, ...urls.keys()];
  if (urls.has(DEFAULT_ACCOUNT))
    read.refuse(ACCOUNTS, `cannot name "${DEFAULT_ACCOUNT}": that is OPENAI_BASE_URL`);
  refuseUnpaired(read, urls, keys);
  const lacks = new Map<string, readonly Capability[]>();
  const form = `name=${capabilities.join('+')}`;
  for (const [name, text] of read.named(LACKS, form, areCapabilities)) {
    if (!known.includes(name)) read.refuse(LACKS, `names the account ${name}, which is not set`);
    lacks.set(name, capabilitiesOf(text));
  }
  const routes = read.pairs(ROUTES, 'model=account+account', /^[a-z0-9-]+(\+[a-z0-9-]+)*$/);
  for (const [model, route] of routes) {
    const strange = route.split('+').filter((name) => !known.includes(name));
    if (strange.length > 0)
      read.refuse(ROUTES, `names for ${model} what is not set: ${strange.join(', ')}`);
    if (new Set(route.split('+')).size < route.split('+').length)
      read.refuse(ROUTES, `names an account twice for ${model}`);
  }
  return {
    lacks: lacks.get(DEFAULT_ACCOUNT) ?? [],
    accounts: [...urls].map(([name, baseUrl]) => {
      return { name, baseUrl, apiKey: keys.get(name) ?? '', lacks: lacks.get(name) ?? [] };
    }),
    routes: new Map([...routes].map(([model, route]) => [model, route.split('+')])),
  };
}

/** By account; one each, or nobody could tell whose webhook it is. */
export function webhookSecrets(
  read: SettingReader,
  { accounts }: OpenAiAccounts,
): ReadonlyMap<string, string> {
  const own = read.signingSecret('OPENAI_WEBHOOK_SECRET');
  const others = read.named(WEBHOOK_SECRETS, 'name=whsec_…', isSigningSecret);
  const strange = [...others.keys()].filter((name) => !accounts.some((each) => each.name === name));
  if (strange.length > 0)
    read.refuse(WEBHOOK_SECRETS, `names what is no further account: ${strange.join(', ')}`);
  const all = new Map([...(own === null ? [] : [[DEFAULT_ACCOUNT, own] as const]), ...others]);
  if (new Set(all.values()).size < all.size)
    read.refuse(WEBHOOK_SECRETS, 'has one secret for two accounts');
  return all;
}

function refuseUnpaired(
  read: SettingReader,
  urls: ReadonlyMap<string, string>,
  keys: ReadonlyMap<string, string>,
): void {
  const lacking = [...urls.keys()].filter((name) => !keys.has(name));
  if (lacking.length > 0) read.refuse(KEYS, `has no key for ${lacking.join(', ')}`);
  const unused = [...keys.keys()].filter((name) => !urls.has(name));
  if (unused.length > 0) read.refuse(ACCOUNTS, `has no address for ${unused.join(', ')}`);
}

function isEndpoint(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && ['http:', 'https:'].includes(url.protocol) && url.username === '';
}

const areCapabilities = (text: string): boolean =>
  text.split('+').every((word) => (capabilities as readonly string[]).includes(word));

const capabilitiesOf = (text: string): Capability[] =>
  capabilities.filter((each) => text.split('+').includes(each));
