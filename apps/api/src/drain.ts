/**
 * Coming up and going down, in one place and in order.
 *
 * (D1) Down: readiness says no (terminus) → consumers pause, settle, commit, leave → streams end → HTTP finishes what it has
 *      begun and closes (Nest, between the two hooks) → the outbox is flushed → connections close.
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
import { KafkaTransportStrategy, OutboxRelay } from '#libs/messaging';
import { Database, Notifications, Sweeper } from '#libs/postgres';
import { CONTENT_DATABASE } from './connections.module.js';
import { COMMANDS_CONSUMER } from './consumers.js';
import { finishConnections } from './finish-connections.js';
import { WatchHub } from './follow-runs/watch-hub.js';
import { JsonLog, type Keep } from '#libs/process';
import { ParkedEventsStore } from './project-runs/parked-events.store.js';
import { ProjectRuns } from './project-runs/project-runs.js';
import { retakeParkedEvents } from './project-runs/retake-parked.js';
import type { ApiStores } from './schema/index.js';
import { API_SETTINGS, type ApiSettings } from './settings.js';

@Injectable()
export class Drain
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private readonly stopping = new AbortController();
  private retaking: Promise<void> = Promise.resolve();
  private connectionsFinished: () => void = () => undefined;

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
    private readonly http: HttpAdapterHost,
  ) {}

  onApplicationBootstrap(): void {
    this.relay.start();
    this.sweeper.start();
    const { parked, projection, log } = this;
    this.retaking = retakeParkedEvents(parked, projection, log, this.stopping.signal);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.log.info({ ...this.projection.counts }, 'draining');
    this.stopping.abort();
    const grace = { graceMs: this.settings.drainMs };
    await Promise.all([this.consumer.drain(grace), this.commands.drain(grace)]);
    await this.retaking;
    await this.sweeper.stop();
    this.hub.close();
    const server = this.http.httpAdapter.getHttpServer() as Server;
    this.connectionsFinished = finishConnections(server, this.settings.drainMs);
  }

  async onApplicationShutdown(): Promise<void> {
    this.connectionsFinished();
    await this.relay.stop({ flushMs: this.settings.drainMs });
    await this.notifications.close();
    await Promise.all([this.database.close(), this.contentDatabase.close()]);
    this.log.info({}, 'drained');
  }
}
