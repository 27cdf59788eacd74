/** The accounts of the settings, each with its own endpoint, and which of them a model's calls go to. */
import type { Anchors } from '../anchors/anchors.js';
import type { OpenAiHealth } from '../openai/openai-health.js';
import { OpenAiEndpoint, type EndpointOptions } from '../openai/openai-endpoint.js';
import { DEFAULT_ACCOUNT, type AccountOptions, type Capability } from './account.js';

export interface Account {
  readonly name: string;
  /** Sent with every request, so a refusal may quote it. */
  readonly apiKey: string;
  readonly endpoint: OpenAiEndpoint;
  /** Conversations that its calls are sent on: one of another account means nothing here. null: they are sent without. */
  readonly anchors: Anchors | null;
  has(capability: Capability): boolean;
}

/** By model: names of accounts in the order in which they are tried. */
export type AccountRoutes = ReadonlyMap<string, readonly string[]>;

export class Accounts {
  readonly #accounts: ReadonlyMap<string, Account>;

  constructor(
    accounts: readonly AccountOptions[],
    private readonly routes: AccountRoutes,
    shared: Omit<EndpointOptions, 'baseUrl' | 'apiKey'>,
    anchorsOf: (endpoint: OpenAiEndpoint, account: string) => Anchors | null = () => null,
    /** Names of accounts whose webhooks can be told from others'. */
    heard: { has(name: string): boolean } = new Set(),
  ) {
    this.#accounts = new Map(
      accounts.map(({ name, baseUrl, apiKey, lacks = [] }) => {
        const endpoint = new OpenAiEndpoint({ baseUrl, apiKey, ...shared });
        const isDeaf = (each: Capability) => each === 'webhooks' && !heard.has(name);
        const has = (each: Capability) => !lacks.includes(each) && !isDeaf(each);
        const anchors = has('conversations') ? anchorsOf(endpoint, name) : null;
        return [name, { name, apiKey, endpoint, anchors, has }];
      }),
    );
  }

  /** @throws AccountMissingError where the settings have it no more: its calls cannot be followed */
  of(name: string): Account {
    const account = this.#accounts.get(name);
    if (account === undefined) throw new AccountMissingError(name);
    return account;
  }

  first(model: string): Account {
    return this.of(this.#routeOf(model)[0] ?? DEFAULT_ACCOUNT);
  }

  /** Null: there is no other after it. */
  after(model: string, name: string): Account | null {
    const [next] = this.later(model, name);
    return next === undefined ? null : this.of(next);
  }

  /** All that come after it, in their order. */
  later(model: string, name: string): readonly string[] {
    const route = this.#routeOf(model);
    return route.includes(name) ? route.slice(route.indexOf(name) + 1) : [];
  }

  /** What is wrong with any of them; whether one answers. */
  health(): OpenAiHealth {
    const all = [...this.#accounts.values()].map(({ name, endpoint }) => {
      return { name, ...endpoint.health() };
    });
    const [only] = all;
    if (only !== undefined && all.length === 1)
      return { problem: only.problem, answeredAgoMs: only.answeredAgoMs };
    const problems = all.flatMap(({ name, problem }) =>
      problem === null ? [] : [`account ${name}: ${problem}`],
    );
    const answers = all.flatMap(({ answeredAgoMs }) => answeredAgoMs ?? []);
    return {
      problem: problems.length === 0 ? null : problems.join('; '),
      answeredAgoMs: answers.length === 0 ? null : Math.min(...answers),
    };
  }

  async close(): Promise<void> {
    const all = [...this.#accounts.values()];
    await Promise.all(
      all.map(async ({ anchors, endpoint }) => {
        await anchors?.close();
        await endpoint.close();
      }),
    );
  }

  /** Of those that use conversations: how many are made ahead. */
  anchorStocks(): readonly { readonly account: string; readonly stock: number }[] {
    return [...this.#accounts.values()].flatMap(({ name: account, anchors }) =>
      anchors === null ? [] : [{ account, stock: anchors.stock }],
    );
  }

  get hasSeveral(): boolean {
    return this.#accounts.size > 1;
  }

  /** Of these models, and of those that the settings route. */
  routesOf(models: Iterable<string>): ReadonlyMap<string, readonly string[]> {
    const all = new Set([...models, ...this.routes.keys()]);
    return new Map([...all].map((model) => [model, this.#routeOf(model)]));
  }

  #routeOf(model: string): readonly string[] {
    return this.routes.get(model) ?? [DEFAULT_ACCOUNT];
  }
}

export class AccountMissingError extends Error {
  override readonly name = 'AccountMissingError';
  readonly code = 'account_missing';
  constructor(account: string) {
    super(
      `the account "${account}" is not in the settings, but calls were made with it: add it again`,
    );
  }
}
