/** The gateway's settings, each with its meaning and default. */
import type { AnchorOptions } from './anchors/anchors.js';
import type { Metrics } from '#libs/metrics';
import type { Database } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import type { PoolLimits } from './limits/pool-limits.js';
import type { AccountOptions } from './accounts/account.js';
import type { AccountRoutes } from './accounts/accounts.js';
import type { DayBudgets } from './money/budget.js';
import type { PriceSettings } from './money/price-table.js';
import type { TellOutage } from './outages/latches.store.js';
import type { OutagePolicy } from './outages/outage-policy.js';

export interface GatewayOptions {
  readonly database: Database;
  /** Of the account `default`; with `/v1`. Pinned: what the SDK would read from the environment is not looked at. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** What the endpoint of the account `default` lacks. Default: nothing. */
  readonly lacks?: AccountOptions['lacks'];
  /** Further accounts. Default: none. */
  readonly accounts?: readonly AccountOptions[];
  /** By model: accounts in the order in which they are tried. Default: the account `default`. */
  readonly routes?: AccountRoutes;
  readonly log: FieldLog;
  /** Default: nothing is counted. */
  readonly metrics?: Metrics;
  readonly timing?: Partial<GatewayTiming>;
  /** Sockets to OpenAI. Default 256. */
  readonly maxConnections?: number;
  /** What the fleet may ask of which models. Default: nothing is known but what OpenAI's headers say. */
  readonly limits?: readonly PoolLimits[];
  /** Default: OpenAI's webhooks are not listened to, and a call of unknown outcome is not waited for. */
  readonly webhooks?: WebhookOptions;
  /** Default: the list of ours, and no model beside it. */
  readonly prices?: PriceSettings;
  /** Default: none, beside what runs bring along. */
  readonly dayBudgets?: DayBudgets;
  readonly outages?: Partial<OutagePolicy>;
  /** Told of latches that are set and released, in the transaction that does it. Default: nobody. */
  readonly tellOutage?: TellOutage;
  /** Default: the endpoint has no conversations, and no call is sent on one. */
  readonly anchors?: AnchorOptions;
}

export interface WebhookOptions {
  /** By account, as OpenAI shows it once, when the endpoint is made: `whsec_…`. Accounts without one are not listened to. */
  readonly secrets: ReadonlyMap<string, string>;
  /** How long past a call's own time limit its webhook is waited for. */
  readonly graceMs: number;
}

export interface GatewayTiming {
  readonly connectTimeoutMs: number;
  /** A background POST, a GET, a cancel: short requests, whatever the model does. */
  readonly requestTimeoutMs: number;
  readonly firstPollMs: number;
  readonly maxPollMs: number;
  /** A response that is still `queued` then is cancelled, even if the call's own time is not up. */
  readonly queuedTimeoutMs: number;
  /** How long to try to have a cancel confirmed at a call's deadline. */
  readonly cancelGraceMs: number;
  /** Before a call of unknown outcome is sent again; grows with each sending. */
  readonly resendPauseMs: number;
  /** How long past a call's own time limit its anchor is asked what became of it. */
  readonly anchorGraceMs: number;
  /** After an anchor was deleted: a late answer on its way is waited for, before the call is sent again. */
  readonly anchorSettleMs: number;
  /** How long `close()` lets requests on the wire finish. */
  readonly closeGraceMs: number;
}

export const defaultTiming: GatewayTiming = {
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  firstPollMs: 1_000,
  maxPollMs: 10_000,
  queuedTimeoutMs: 600_000,
  cancelGraceMs: 30_000,
  resendPauseMs: 1_000,
  anchorGraceMs: 120_000,
  anchorSettleMs: 10_000,
  closeGraceMs: 10_000,
};
