import { Inject, Module } from '@nestjs/common';
import { consumerGroups } from '#libs/contracts';
import { KafkaTransportStrategy, OutboxRelay, reportConsumers, reportRelay } from '#libs/messaging';
import { atMostEvery, PrometheusMetrics } from '#libs/metrics';
import { COMMANDS_CONSUMER } from '../consumers.js';
import { FollowRunsModule } from '../follow-runs/follow-runs.module.js';
import { WatchHub } from '../follow-runs/watch-hub.js';
import { ParkedEventsStore } from '../project-runs/parked-events.store.js';
import { ProjectRunsModule } from '../project-runs/project-runs.module.js';
import { ReconcileRunsModule } from '../reconcile-runs/reconcile-runs.module.js';
import { StuckRunsStore } from '../reconcile-runs/stuck-runs.store.js';
import { SubmitRunsModule } from '../submit-runs/submit-runs.module.js';
import { ReportMetricsController } from './report-metrics.controller.js';

const COUNT_EVERY_MS = 10_000;

/** The api *reports metrics*: what it has counted, and what is read when it is asked. */
@Module({
  imports: [FollowRunsModule, ProjectRunsModule, ReconcileRunsModule, SubmitRunsModule],
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
    stuckRuns: StuckRunsStore,
  ) {
    reportRelay(metrics, relay);
    reportConsumers(metrics, {
      [consumerGroups.projectRuns]: events,
      [consumerGroups.submitRuns]: commands,
    });
    metrics.readFrom('watchers', ['holdfast_event_watchers'], () => ({
      holdfast_event_watchers: [{ labels: {}, value: hub.watchers }],
    }));
    const counts = atMostEvery(COUNT_EVERY_MS, () => parked.countByReason());
    metrics.readFrom('parked_events', ['holdfast_parked_events'], async () => ({
      holdfast_parked_events: (await counts()).map(({ reason, events: value }) => ({
        labels: { reason },
        value,
      })),
    }));
    const stuck = atMostEvery(COUNT_EVERY_MS, () => stuckRuns.find());
    metrics.readFrom(
      'stuck_runs',
      ['holdfast_stuck_runs', 'holdfast_oldest_stuck_run_seconds'],
      async () => {
        const { runs, oldest } = await stuck();
        const silentSeconds = (oldest?.silentMs ?? 0) / 1_000;
        return {
          holdfast_stuck_runs: [{ labels: {}, value: runs }],
          holdfast_oldest_stuck_run_seconds: [{ labels: {}, value: silentSeconds }],
        };
      },
    );
  }
}
