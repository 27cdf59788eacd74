import type { ContentStore } from '#libs/content';
import type { OpenAiGateway } from '#libs/openai-gateway';
import type { Metrics } from '#libs/metrics';
import type { Database } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import type { WebhookSender, WebhookTarget } from '#libs/webhooks';
import type { WorkflowCatalogue } from '#libs/workflows';
import type { CheckPointsStore } from './check-points.store.js';
import type { EffectLedger } from './effect-ledger.store.js';
import type { RunMovesStore } from './run-moves.store.js';

/** What carrying out a run needs. */
export interface ExecuteTools {
  readonly workflows: WorkflowCatalogue;
  readonly contents: ContentStore;
  readonly gateway: Pick<
    OpenAiGateway,
    'callModel' | 'closeCalls' | 'offTheWire' | 'room' | 'rooms'
  >;
  /** For reading the call ledger. */
  readonly database: Database;
  readonly checkPoints: CheckPointsStore;
  readonly effects: EffectLedger;
  readonly webhooks: Pick<WebhookSender, 'routeTo' | 'send'>;
  /** By name. */
  readonly webhookTargets: ReadonlyMap<string, WebhookTarget>;
  readonly moves: RunMovesStore;
  readonly log: FieldLog;
  readonly metrics: Metrics;
  /** Results up to this size travel in RunCompleted. */
  readonly inlineResultBytes: number;
  /** Epoch ms. */
  readonly nowMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}
