/**
 * Coming up and going down, in one place and in order.
 *
 * (D1) Down: readiness says no → no connection is taken any more → streams end with a hint to come back, those who prefer to wait
 *      are answered 202, requests in hand finish → meanwhile the consumers pause, settle, commit, leave → the outbox is
 *      flushed → connections close.
 * (D2) What is not done by then loses nothing: runs and outbox rows are committed, offsets are not ahead of the read model.
 */
import type { Server } from 'node:http';
import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { KafkaTransportStrategy, OutboxRelay, watchOutbox } from '#libs/messaging';
import { Database, Notifications, Sweeper } from '#libs/postgres';
import { CONTENT_DATABASE } from './connections.module.js';
import { COMMANDS_CONSUMER } from './consumers.js';
import { finishConnections } from './finish-connections.js';
import { WatchHub } from './follow-runs/watch-hub.js';
import { Draining, JsonLog, type Keep } from '#libs/process';
import { ParkedEventsStore } from './project-runs/parked-events.store.js';
import { ProjectRuns } from './project-runs/project-runs.js';
import { retakeParkedEvents } from './project-runs/retake-parked.js';
import { Reconciler } from './reconcile-runs/reconciler.js';
import type { ApiStores } from './schema/index.js';
import { API_SETTINGS, type ApiSettings } from './settings.js';

@Injectable()
export class Drain
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private readonly stopping = new AbortController();
  private retaking: Promise<void> = Promise.resolve();
  private watching: Promise<void> = Promise.resolve();

  constructor(
    @Inject(API_SETTINGS) private readonly settings: ApiSettings,
    private readonly log: JsonLog,
    private readonly database: Database,
    @Inject(CONTENT_DATABASE) private readonly contentDatabase: Database,
    private readonly notifications: Notifications,
    private readonly relay: OutboxRelay,
    private readonly consumer: KafkaTransportStrategy,
    @Inject(COMMANDS_CONSUMER) private readonly commands: KafkaTransportStrategy,
    private readonly parked: ParkedEventsStore,
    private readonly projection: ProjectRuns,
    private readonly hub: WatchHub,
    private readonly sweeper: Sweeper<ApiStores, Keep>,
    private readonly reconciler: Reconciler,
    private readonly http: HttpAdapterHost,
    private readonly draining: Draining,
  ) {}

  onApplicationBootstrap(): void {
    this.relay.start();
    this.sweeper.start();
    this.reconciler.start();
    const { parked, projection, log, relay } = this;
    this.watching = watchOutbox(relay, log, this.stopping.signal);
    this.retaking = retakeParkedEvents(parked, projection, log, this.stopping.signal);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.log.info({ ...this.projection.counts }, 'draining');
    this.draining.begin();
    this.stopping.abort();
    const { drainMs } = this.settings;
    await Promise.all([
      this.finishRequests(drainMs),
      this.consumer.drain({ graceMs: drainMs }),
      this.commands.drain({ graceMs: drainMs }),
      this.retaking,
      this.watching,
      this.sweeper.stop(),
      this.reconciler.stop(),
    ]);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.relay.stop({ flushMs: this.settings.drainMs });
    await this.notifications.close();
    await Promise.all([this.database.close(), this.contentDatabase.close()]);
    this.log.info({}, 'drained');
  }

  /** Ends by itself once the last answer is through; past the grace connections are cut. Nest closes HTTP again, to no effect. */
  private async finishRequests(graceMs: number): Promise<void> {
    const { httpAdapter } = this.http;
    const finished = finishConnections(httpAdapter.getHttpServer() as Server, graceMs);
    this.hub.close();
    try {
      await httpAdapter.close();
    } finally {
      finished();
    }
  }
}
