/**
 * The one way to OpenAI: a model call goes in, its outcome comes out, and it is paid for once, whoever dies in between.
 *
 * `callModel` looks into the ledger, decides what may be done about the call (ledger/decide-call.ts), does that one thing, and
 * looks again until there is an outcome (call/). It makes no retries of its own, but for calls of unknown outcome whose author
 * allowed it.
 *
 * (G1) Once a request is on its way nobody waits for nothing: the owner's signal ends the waiting, not the request. What
 *      comes back is written down, for the next owner.
 * (G2) In this process a call is carried through by one `callModel` at a time; a second one waits, then finds what the first
 *      left in the ledger.
 * (G3) No prompt or output text in failures, logs or errors.
 */
import { noMetrics, type Metrics } from '#libs/metrics';
import { uuidv7 } from '#libs/postgres';
import { DEFAULT_ACCOUNT } from './accounts/account.js';
import { Accounts } from './accounts/accounts.js';
import { Anchors, type AnchorChange, type UsedAnchor } from './anchors/anchors.js';
import { callIdOf } from './call-id.js';
import { inCallSpan } from './call-span.js';
import { countCall } from './count-call.js';
import { CallInProgress } from './call/call-in-progress.js';
import { closeOpenCalls, type ClosedCalls } from './close-calls.js';
import type { GateCall } from './gate/call-gate.js';
import { Gates } from './gate/gates.js';
import { Passage } from './gate/passage.js';
import { defaultTiming, type GatewayOptions } from './gateway-options.js';
import { CallLedger } from './ledger/call-ledger.store.js';
import { leftoversOf } from './ledger/leftovers.js';
import { openCallsOf, type OpenCall } from './ledger/open-calls.js';
import { FleetLimits, type PoolFacts } from './limits/fleet-limits.js';
import type { Room } from './limits/limited-pool.js';
import { lookUpResponse, type LookUp } from './look-up-response.js';
import { budgetsOf, type DayBudgets } from './money/budget.js';
import { estimateInputTokens } from './money/estimate-tokens.js';
import { worstCost } from './money/price.js';
import { PriceTable } from './money/price-table.js';
import type { CallOwner, ModelCallOutcome, ModelCallRequest } from './model-call.js';
import type { OpenAiEndpoint } from './openai/openai-endpoint.js';
import type { OpenAiHealth } from './openai/openai-health.js';
import { readWebhook, type WebhookHeaders, type WebhookReading } from './openai/read-webhook.js';
import {
  limitsOver,
  roomOver,
  waitedForOver,
  type ModelRoutes,
} from './outages/lanes-over-accounts.js';
import { OutageGate, type LaneRoom, type ShutLane } from './outages/outage-gate.js';
import { defaultOutagePolicy } from './outages/outage-policy.js';
import type { Latch } from './outages/latch.js';
import { ToldCalls } from './told-calls.js';

export class OpenAiGateway {
  readonly #options: GatewayOptions;
  readonly #timing;
  readonly #metrics: Metrics;
  readonly #accounts: Accounts;
  readonly #ledger: CallLedger;
  readonly #limits: FleetLimits;
  readonly #outages: OutageGate;
  readonly #gate: Gates;
  readonly #prices: PriceTable;
  readonly #dayBudgets: DayBudgets;
  readonly #told = new ToldCalls();
  /** That were called since the start. */
  readonly #models = new Set<string>();
  /** Calls that are being carried through, requests on the wire that nobody waits for any more included (G2). */
  readonly #busy = new Map<string, { readonly runId: string; readonly ended: Promise<void> }>();

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#timing = { ...defaultTiming, ...options.timing };
    this.#metrics = options.metrics ?? noMetrics;
    this.#ledger = new CallLedger(options.database, this.#metrics);
    this.#limits = new FleetLimits(options.limits ?? [], {
      ...{ database: options.database, holder: uuidv7(), log: options.log, metrics: this.#metrics },
    });
    this.#outages = new OutageGate({
      ...{ database: options.database, log: options.log, metrics: this.#metrics },
      tell: options.tellOutage ?? (() => undefined),
      policy: { ...defaultOutagePolicy, ...options.outages },
    });
    this.#gate = new Gates([this.#outages, this.#limits]);
    this.#prices = new PriceTable(options.prices);
    this.#dayBudgets = options.dayBudgets ?? noDayBudgets;
    const { baseUrl, apiKey, lacks = [], accounts = [], routes = new Map() } = options;
    const all = [{ name: DEFAULT_ACCOUNT, baseUrl, apiKey, lacks }, ...accounts];
    const shared = {
      connectTimeoutMs: this.#timing.connectTimeoutMs,
      metrics: this.#metrics,
      ...(options.maxConnections !== undefined && { maxConnections: options.maxConnections }),
    };
    const anchorsOf = (endpoint: OpenAiEndpoint, name: string) => this.#anchorsOf(endpoint, name);
    this.#accounts = new Accounts(all, routes, shared, anchorsOf, options.webhooks?.secrets);
  }

  /** Reads which lanes are shut, and follows that from then on; until then this process knows only of those that it shut itself. */
  async start(): Promise<void> {
    await this.#outages.start();
  }

  /**
   * Makes the call, or picks up what became of it: the same request has the same call id, whoever asks.
   * @throws only faults of our own: the database away for minutes, a bug. What OpenAI does wrong is an outcome.
   */
  async callModel(request: ModelCallRequest, owner: CallOwner): Promise<ModelCallOutcome> {
    const callId = callIdOf(request);
    return inCallSpan(callId, request, () => this.#callOnce(callId, request, owner));
  }

  async #callOnce(
    callId: string,
    request: ModelCallRequest,
    owner: CallOwner,
  ): Promise<ModelCallOutcome> {
    for (let other; (other = this.#busy.get(callId)) !== undefined;) {
      await orAborted(other.ended, owner.signal); // (G2)
      if (owner.signal.aborted) break;
    }
    if (owner.signal.aborted) return { kind: 'aborted' };
    this.#models.add(request.model);
    const outcome = this.#carryThrough(callId, request, owner);
    this.#keepBusy(callId, request.runId, outcome);
    const startedAtMs = performance.now();
    const told = await orAborted(outcome, owner.signal); // (G1)
    countCall(this.#metrics, request, told, performance.now() - startedAtMs);
    return told;
  }

  /** How OpenAI has answered lately, as calls found it: nobody asks it just for this. */
  health(): OpenAiHealth {
    return this.#accounts.health();
  }

  /** What a claim may count on, so that no run holds a slot only to wait. */
  rooms(): readonly Room[] {
    if (!this.#accounts.hasSeveral) return this.#limits.rooms();
    const routes = this.#routes();
    this.#limits.know(routes);
    return limitsOver(routes, (account) => this.#outages.room(account), this.#limits.rooms());
  }

  /** Calls of this process that wait for their turn, and that are on their way, by model pool. */
  pools(): readonly PoolFacts[] {
    return this.#limits.facts();
  }

  /** Conversations that are made ahead, by account. */
  anchorStocks(): ReturnType<Accounts['anchorStocks']> {
    return this.#accounts.anchorStocks();
  }

  /** How many more runs may be taken up: those whose lane is shut, or only coming back, are better left where they are. */
  room(): LaneRoom {
    if (!this.#accounts.hasSeveral) return this.#outages.room(DEFAULT_ACCOUNT);
    return roomOver(this.#routes(), (account) => this.#outages.room(account));
  }

  /** Lanes that take no calls now, by a latch or by the breaker of this process. */
  shutLanes(): readonly ShutLane[] {
    return this.#outages.shutLanes();
  }

  /** The same, and those that are only coming back: runs that are queued for them are told why. */
  waitedFor(): readonly ShutLane[] {
    const lanes = this.#outages.waitedFor();
    return this.#accounts.hasSeveral ? waitedForOver(this.#routes(), this.room(), lanes) : lanes;
  }

  /** Those that are held, as this process knows them. */
  latches(): readonly Latch[] {
    return this.#outages.latches();
  }

  /** On a person's word. @returns false: no such latch is held */
  releaseLatch(latchId: string): Promise<boolean> {
    return this.#outages.release(latchId, 'operator');
  }

  /**
   * Resolves when nothing of the run is on its way to OpenAI any more, after at most `closeGraceMs`. For who gives a run back with
   * its signal fired: the next owner would find a call in the middle of its sending, and could not know what became of it.
   */
  async offTheWire(runId: string): Promise<void> {
    await orAborted(this.#sent(runId), AbortSignal.timeout(this.#timing.closeGraceMs));
  }

  /**
   * For a run that ends without its open calls: they are cancelled at OpenAI, and what was paid for is booked. Nothing of the
   * run is sent meanwhile: it is stopped (`stopCalls`), or its owner has stopped. Ends early when the signal fires.
   */
  async closeCalls(runId: string, signal: AbortSignal): Promise<ClosedCalls> {
    await orAborted(this.#sent(runId), signal);
    return this.closeAccepted(await openCallsOf(this.#options.database, runId), signal);
  }

  /** For calls that OpenAI has accepted and nobody follows: the same, for these alone. */
  async closeAccepted(calls: readonly OpenCall[], signal: AbortSignal): Promise<ClosedCalls> {
    return closeOpenCalls(calls, signal, {
      ...{ ledger: this.#ledger, prices: this.#prices, accounts: this.#accounts },
      ...{ timing: this.#timing, log: this.#options.log },
    });
  }

  /**
   * For a run that has ended: what it left is closed as above, and its conversations are removed.
   * @returns of how much of it more can still be learned
   */
  async closeLeftovers(runId: string, signal: AbortSignal): Promise<number> {
    await this.closeCalls(runId, signal);
    const left = await leftoversOf(this.#options.database, runId);
    for (const { callId, anchor, account, isOpen } of left)
      if (!isOpen && anchor !== null)
        this.#accounts.of(account).anchors?.remove({ callId, anchor });
    return left.length;
  }

  /** What came to the webhook route, once its signature holds; `off` where there are no secrets to check it with. */
  async readWebhook(
    body: string,
    headers: WebhookHeaders,
  ): Promise<WebhookReading | { readonly kind: 'off' }> {
    const { webhooks } = this.#options;
    if (webhooks === undefined) return { kind: 'off' };
    return readWebhook(body, headers, webhooks.secrets, Date.now());
  }

  /**
   * Finds out whose response it is that a webhook told of, and writes down what became of its call.
   * @param isFirst whether nobody has looked for this webhook before: a call that is followed is then left to its owner
   * @param account whose webhook it was
   * @throws only faults of our own, as `callModel`
   */
  lookUp(responseId: string, isFirst: boolean, account = DEFAULT_ACCOUNT): Promise<LookUp> {
    return lookUpResponse({ responseId, account }, isFirst, {
      ...{ database: this.#options.database, ledger: this.#ledger, accounts: this.#accounts },
      ...{ prices: this.#prices, timing: this.#timing, told: this.#told },
    });
  }

  /** Lets requests on the wire finish, then cuts them. Fire the owners' signals first. */
  async close(): Promise<void> {
    const grace = AbortSignal.timeout(this.#timing.closeGraceMs);
    await orAborted(this.#allIdle(), grace);
    await this.#outages.stop();
    await this.#accounts.close();
    await orAborted(this.#allIdle(), AbortSignal.timeout(this.#timing.closeGraceMs));
    await this.#limits.close();
  }

  #anchorsOf(endpoint: OpenAiEndpoint, account: string): Anchors | null {
    const { anchors, log } = this.#options;
    if (anchors === undefined) return null;
    const forget = (calls: readonly UsedAnchor[]) => this.#ledger.forgetAnchors(calls);
    const count = (change: AnchorChange) =>
      this.#metrics.add('holdfast_anchors_total', { account, change });
    return new Anchors(anchors, { endpoint, forget, log, count, random: Math.random });
  }

  async #carryThrough(
    callId: string,
    request: ModelCallRequest,
    owner: CallOwner,
  ): Promise<ModelCallOutcome> {
    const inputTokens = await estimateInputTokens(request);
    const { model, maxOutputTokens } = request;
    const tier = request.serviceTier ?? 'default';
    const price = this.#prices.find(model, tier, Date.now());
    const account = this.#accounts.first(model).name;
    const call: GateCall = { ...request, callId, account, tier, inputTokens };
    const outcome = await new CallInProgress(callId, request, owner, {
      ledger: this.#ledger,
      accounts: this.#accounts,
      timing: this.#timing,
      log: this.#options.log,
      webhooks: this.#options.webhooks ?? null,
      told: this.#told,
      passage: new Passage(this.#gate, call),
      prices: this.#prices,
      worstCost: price && worstCost(inputTokens, maxOutputTokens, price),
      budgets: budgetsOf(request, this.#dayBudgets),
      onPollRefused: (failure, by) => this.#outages.pollRefused({ ...call, account: by }, failure),
    }).carryThrough();
    return this.#outages.tellOf(call, outcome, owner.signal);
  }

  #routes(): ModelRoutes {
    return this.#accounts.routesOf(this.#models);
  }

  #keepBusy(callId: string, runId: string, outcome: Promise<ModelCallOutcome>): void {
    const ended = outcome.then(
      () => this.#busy.delete(callId),
      (error: unknown) => {
        this.#busy.delete(callId);
        this.#options.log.error({ callId, error }, 'a model call could not be carried through');
      },
    );
    this.#busy.set(callId, { runId, ended: ended.then(() => undefined) });
  }

  /** Every call of the run that is being carried through here has come to wherever it gets. */
  async #sent(runId: string): Promise<void> {
    const calls = [...this.#busy.values()].filter((call) => call.runId === runId);
    await Promise.all(calls.map(({ ended }) => ended));
  }

  async #allIdle(): Promise<void> {
    await Promise.all([...this.#busy.values()].map(({ ended }) => ended));
  }
}

const noDayBudgets: DayBudgets = { tenants: new Map(), workflows: new Map() };

/** The promise's value, or "aborted" as soon as the signal fires. */
async function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<T | { kind: 'aborted' }> {
  const { promise: aborted, resolve } = Promise.withResolvers<{ kind: 'aborted' }>();
  const onAbort = () => resolve({ kind: 'aborted' });
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
