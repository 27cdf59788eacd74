import { Inject, Module } from '@nestjs/common';
import { consumerGroups } from '#libs/contracts';
import {
  OutboxRelay,
  reportConsumers,
  reportRelay,
  type KafkaTransportStrategy,
} from '#libs/messaging';
import { atMostEvery, PrometheusMetrics } from '#libs/metrics';
import { OpenAiGateway, type PoolFacts } from '#libs/openai-gateway';
import { Database } from '#libs/postgres';
import { AdmitRunsModule } from '../admit-runs/admit-runs.module.js';
import { RETRY_CONSUMER, WORK_CONSUMER } from '../consumers.js';
import { ExecuteRunsModule } from '../execute-runs/execute-runs.module.js';
import { RunSlots } from '../execute-runs/run-slots.js';
import { ReportMetricsController } from './report-metrics.controller.js';
import { WaitingRunsStore } from './waiting-runs.store.js';

const COUNT_WAITING_EVERY_MS = 10_000;

/** The processor *reports metrics*: what it has counted, and what is read when it is asked. */
@Module({
  imports: [AdmitRunsModule, ExecuteRunsModule],
  controllers: [ReportMetricsController],
})
export class ReportMetricsModule {
  constructor(
    metrics: PrometheusMetrics,
    relay: OutboxRelay,
    @Inject(WORK_CONSUMER) work: KafkaTransportStrategy,
    @Inject(RETRY_CONSUMER) retries: KafkaTransportStrategy,
    slots: RunSlots,
    gateway: OpenAiGateway,
    database: Database,
  ) {
    reportRelay(metrics, relay);
    reportConsumers(metrics, {
      [consumerGroups.admitRuns]: work,
      [consumerGroups.admitRetries]: retries,
    });
    metrics.readFrom('run_slots', ['holdfast_runs_in_hand', 'holdfast_run_slots'], () => ({
      holdfast_runs_in_hand: [{ labels: {}, value: slots.inUse }],
      holdfast_run_slots: [{ labels: {}, value: slots.size }],
    }));
    reportPools(metrics, gateway);
    metrics.readFrom('lanes', ['holdfast_lanes_shut'], () => ({
      holdfast_lanes_shut: gateway.shutLanes().map(({ model, untilMs }) => ({
        labels: { model: model ?? 'all', because: untilMs === null ? 'latch' : 'breaker' },
        value: 1,
      })),
    }));
    metrics.readFrom('anchors', ['holdfast_anchor_stock'], () => ({
      holdfast_anchor_stock: gateway.anchorStocks().map(({ account, stock }) => ({
        labels: { account },
        value: stock,
      })),
    }));
    const store = new WaitingRunsStore(database);
    reportWaitingRuns(
      metrics,
      atMostEvery(COUNT_WAITING_EVERY_MS, () => store.count()),
    );
  }
}

function reportPools(metrics: PrometheusMetrics, gateway: OpenAiGateway): void {
  const samples = (valueOf: (facts: PoolFacts) => number) =>
    gateway.pools().map((facts) => ({ labels: { pool: facts.pool }, value: valueOf(facts) }));
  metrics.readFrom(
    'limits',
    ['holdfast_limit_waiting_calls', 'holdfast_limit_calls_in_flight'],
    () => ({
      holdfast_limit_waiting_calls: samples(({ waiting }) => waiting),
      holdfast_limit_calls_in_flight: samples(({ inFlight }) => inFlight),
    }),
  );
}

function reportWaitingRuns(
  metrics: PrometheusMetrics,
  count: () => ReturnType<WaitingRunsStore['count']>,
): void {
  metrics.readFrom(
    'waiting_runs',
    ['holdfast_waiting_runs', 'holdfast_oldest_waiting_run_seconds'],
    async () => {
      const waiting = await count();
      const samples = (valueOf: (each: (typeof waiting)[number]) => number) =>
        waiting.map((each) => ({
          labels: { state: each.state, model: each.model },
          value: valueOf(each),
        }));
      return {
        holdfast_waiting_runs: samples(({ runs }) => runs),
        holdfast_oldest_waiting_run_seconds: samples(({ oldestSeconds }) => oldestSeconds),
      };
    },
  );
}
