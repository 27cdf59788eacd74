import { Inject, Module } from '@nestjs/common';
import { consumerGroups } from '#libs/contracts';
import { KafkaTransportStrategy, OutboxRelay, reportConsumers, reportRelay } from '#libs/messaging';
import { atMostEvery, PrometheusMetrics } from '#libs/metrics';
import { COMMANDS_CONSUMER } from '../consumers.js';
import { FollowRunsModule } from '../follow-runs/follow-runs.module.js';
import { WatchHub } from '../follow-runs/watch-hub.js';
import { ParkedEventsStore } from '../project-runs/parked-events.store.js';
import { ProjectRunsModule } from '../project-runs/project-runs.module.js';
import { SubmitRunsModule } from '../submit-runs/submit-runs.module.js';
import { ReportMetricsController } from './report-metrics.controller.js';

const COUNT_PARKED_EVERY_MS = 10_000;

/** The api *reports metrics*: what it has counted, and what is read when it is asked. */
@Module({
  imports: [FollowRunsModule, ProjectRunsModule, SubmitRunsModule],
  controllers: [ReportMetricsController],
})
export class ReportMetricsModule {
  constructor(
    metrics: PrometheusMetrics,
    relay: OutboxRelay,
    events: KafkaTransportStrategy,
    @Inject(COMMANDS_CONSUMER) commands: KafkaTransportStrategy,
    hub: WatchHub,
    parked: ParkedEventsStore,
  ) {
    reportRelay(metrics, relay);
    reportConsumers(metrics, {
      [consumerGroups.projectRuns]: events,
      [consumerGroups.submitRuns]: commands,
    });
    metrics.readFrom('watchers', ['holdfast_event_watchers'], () => ({
      holdfast_event_watchers: [{ labels: {}, value: hub.watchers }],
    }));
    const counts = atMostEvery(COUNT_PARKED_EVERY_MS, () => parked.countByReason());
    metrics.readFrom('parked_events', ['holdfast_parked_events'], async () => ({
      holdfast_parked_events: (await counts()).map(({ reason, events: value }) => ({
        labels: { reason },
        value,
      })),
    }));
  }
}
