/**
 * Works on the webhooks that are stored: looks each response up and has the ledger learn what became of its call. Any processor may
 * do it, also one that did not receive them.
 *
 * (B1) Woken when one is stored here; polls too, for those that others stored, or were working on when they died.
 * (B2) One that meets a fault of our own stays taken, and is due again when that is over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Metrics } from '#libs/metrics';
import type { OpenAiGateway } from '#libs/openai-gateway';
import { runIdOf } from '#libs/domain';
import type { FieldLog } from '#libs/process';
import { decideLook } from './decide-look.js';
import type { DueWebhook, WebhooksStore } from './webhooks.store.js';

const POLL_MS = 1_000;
const AT_ONCE = 16;

export interface WebhookWorkerParts {
  readonly store: WebhooksStore;
  readonly gateway: Pick<OpenAiGateway, 'lookUp'>;
  readonly metrics: Metrics;
  readonly log: FieldLog;
}

export class WebhookWorker {
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private hinted = new AbortController();

  constructor(private readonly parts: WebhookWorkerParts) {}

  start(): void {
    this.running = this.work(this.stopping.signal);
  }

  /** What is being looked up is finished. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** One was stored (B1). */
  hint(): void {
    this.hinted.abort();
  }

  private async work(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const worked = await this.round();
      if (worked < AT_ONCE) {
        const signal = AbortSignal.any([stop, this.hinted.signal]);
        await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
      }
      if (this.hinted.signal.aborted) this.hinted = new AbortController();
    }
  }

  /** @returns how many were due */
  private async round(): Promise<number> {
    const { store, log } = this.parts;
    try {
      const due = await store.take(AT_ONCE);
      await Promise.all(due.map((webhook) => this.lookUp(webhook)));
      return due.length;
    } catch (error) {
      log.warn({ error }, 'webhooks could not be worked on; trying again');
      return 0;
    }
  }

  private async lookUp({ webhookId, responseId, account, looks }: DueWebhook): Promise<void> {
    const { store, gateway, metrics, log } = this.parts;
    const found = await gateway.lookUp(responseId, looks === 1, account); // (B2)
    const decision = decideLook(found.kind, looks);
    const outcome = decision.kind === 'settle' ? decision.outcome : found.kind;
    const about = 'callId' in found ? { callId: found.callId, runId: runIdOf(found.runId) } : {};
    const level = outcome === 'booked' || outcome === 'given_up' ? 'warn' : 'debug';
    metrics.add('holdfast_webhook_look_ups_total', { outcome });
    log[level]({ webhookId, responseId, ...about, outcome }, 'response looked up for a webhook');
    if (decision.kind === 'settle')
      return store.settle(webhookId, decision.outcome, 'runId' in found ? found.runId : null);
    return store.lookAgain(webhookId, decision.inMs);
  }
}
