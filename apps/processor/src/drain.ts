/**
 * Coming up and going down, in one place and in order.
 *
 * (D1) Down: readiness says no → consumers pause, settle, commit, leave → no more claims; runs in hand go on under their leases until the grace
 *      ends, then are given back with their attempt unchanged (background calls keep running at OpenAI) → the outbox is
 *      flushed → connections close.
 * (D2) What is not done by then loses nothing: leases run out, and another processor takes over.
 */
import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { KafkaTransportStrategy, OutboxRelay, watchOutbox } from '#libs/messaging';
import { OpenAiGateway } from '#libs/openai-gateway';
import { Database, Notifications, Sweeper } from '#libs/postgres';
import { Draining, JsonLog, type Keep } from '#libs/process';
import { LeftoverWorker } from './close-calls/leftover-worker.js';
import { CONTENT_DATABASE } from './connections.module.js';
import { RETRY_CONSUMER, WORK_CONSUMER } from './consumers.js';
import { AnnounceWaitingStore } from './execute-runs/announce-waiting.store.js';
import { Keeper } from './execute-runs/keeper.js';
import { RunSlots } from './execute-runs/run-slots.js';
import { WebhookWorker } from './receive-webhooks/webhook-worker.js';
import { repeat } from './repeat.js';
import { Rescuer } from './rescue-runs/rescuer.js';
import type { ProcessorStores } from './schema/index.js';
import { SpendSettler } from './settle-spend/spend-settler.js';
import { PROCESSOR_SETTINGS, type ProcessorSettings } from './settings.js';

const ANNOUNCE_EVERY_MS = 500;
const MAX_ANNOUNCED = 200;

@Injectable()
export class Drain
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private readonly stopping = new AbortController();
  private announcing: Promise<void> = Promise.resolve();
  private watching: Promise<void> = Promise.resolve();

  constructor(
    @Inject(PROCESSOR_SETTINGS) private readonly settings: ProcessorSettings,
    private readonly log: JsonLog,
    private readonly database: Database,
    @Inject(CONTENT_DATABASE) private readonly contentDatabase: Database,
    private readonly notifications: Notifications,
    private readonly relay: OutboxRelay,
    private readonly gateway: OpenAiGateway,
    @Inject(WORK_CONSUMER) private readonly work: KafkaTransportStrategy,
    @Inject(RETRY_CONSUMER) private readonly retries: KafkaTransportStrategy,
    private readonly keeper: Keeper,
    private readonly slots: RunSlots,
    private readonly waiting: AnnounceWaitingStore,
    private readonly rescuer: Rescuer,
    private readonly webhooks: WebhookWorker,
    private readonly leftovers: LeftoverWorker,
    private readonly spend: SpendSettler,
    private readonly sweeper: Sweeper<ProcessorStores, Keep>,
    private readonly draining: Draining,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.gateway.start();
    this.relay.start();
    this.keeper.start();
    this.slots.start();
    this.rescuer.start();
    if (this.settings.webhookSecrets.size > 0) this.webhooks.start();
    this.leftovers.start();
    this.spend.start();
    this.sweeper.start();
    const announce = async () => {
      if ((await this.waiting.announce(MAX_ANNOUNCED, this.gateway.waitedFor())) > 0)
        this.relay.hint();
    };
    const { log, relay, stopping } = this;
    this.watching = watchOutbox(relay, log, stopping.signal);
    this.announcing = repeat('announcing', ANNOUNCE_EVERY_MS, announce, log, stopping.signal);
  }

  async beforeApplicationShutdown(): Promise<void> {
    const { drainMs } = this.settings;
    this.draining.begin();
    this.log.info({ runsInHand: this.slots.inUse }, 'draining');
    this.stopping.abort();
    await Promise.all([
      this.work.drain({ graceMs: drainMs }),
      this.retries.drain({ graceMs: drainMs }),
      this.slots.drain(drainMs),
      this.rescuer.stop(),
      this.webhooks.stop(),
      this.leftovers.stop(),
      this.spend.stop(),
      this.sweeper.stop(),
      this.announcing,
      this.watching,
    ]);
    await this.keeper.stop();
    await this.gateway.close();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.relay.stop({ flushMs: this.settings.drainMs });
    await this.notifications.close();
    await Promise.all([this.database.close(), this.contentDatabase.close()]);
    this.log.info({}, 'drained');
  }
}
