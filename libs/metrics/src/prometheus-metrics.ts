/**
 * The catalogue as Prometheus metrics. The only place that knows prom-client.
 *
 * (P1) Every metric of the app is there from the start, those without labels at zero.
 * (P2) What is read at the scrape comes from sources. A source that fails or is slow costs its own metrics, not the answer:
 *      they are left out, rather than told as they were; it is counted, and read again at the next scrape.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import {
  definitionOf,
  metricNames,
  type AppName,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  type MetricName,
} from './metric-catalogue.js';
import type { Metrics } from './metrics.js';

export interface Sample<Name extends MetricName> {
  readonly labels: LabelsOf<Name>;
  readonly value: number;
}

/** What is read at the scrape: gauges, and counters that somebody else keeps. */
type ReadName = GaugeName | CounterName;
export type Readings<Name extends ReadName> = { readonly [Each in Name]: readonly Sample<Each>[] };

interface Source {
  readonly name: string;
  readonly metrics: readonly ReadName[];
  readonly read: () => Promise<Readings<ReadName>>;
}

const SOURCE_LIMIT_MS = 2_000;
/** prom-client's own: event loop, garbage collection, memory, CPU, handles. The default precision wakes the process 100 times a second. */
const EVENT_LOOP_PRECISION_MS = 50;

export class PrometheusMetrics implements Metrics {
  private readonly registry = new Registry();
  private readonly counters = new Map<string, Counter>();
  private readonly gauges = new Map<string, Gauge>();
  private readonly histograms = new Map<string, Histogram>();
  private readonly sources: Source[] = [];

  constructor(app: AppName) {
    collectDefaultMetrics({
      register: this.registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS,
    });
    for (const name of metricNames) if (definitionOf(name).apps.includes(app)) this.make(name); // (P1)
  }

  add<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    if (by > 0) this.counters.get(name)?.inc(labels, by);
  }

  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, value: number): void {
    this.histograms.get(name)?.observe(labels, Math.max(0, value));
  }

  /** @param read asked at every scrape, for the values of all these metrics */
  readFrom<Name extends ReadName>(
    name: string,
    metrics: readonly Name[],
    read: () => Readings<Name> | Promise<Readings<Name>>,
  ): void {
    const reading = async () => (await read()) as Readings<ReadName>;
    this.sources.push({ name, metrics, read: reading });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    await Promise.all(this.sources.map((source) => this.take(source)));
    return this.registry.metrics();
  }

  /** (P2) */
  private async take({ name, metrics, read }: Source): Promise<void> {
    try {
      const readings = await within(SOURCE_LIMIT_MS, read());
      for (const metric of metrics) this.put(metric, readings[metric]);
    } catch {
      for (const metric of metrics) this.leaveOut(metric);
      this.add('holdfast_metrics_unread_total', { source: name });
    }
  }

  private put<Name extends ReadName>(name: Name, samples: readonly Sample<Name>[]): void {
    const metric = this.gauges.get(name) ?? this.counters.get(name);
    metric?.reset();
    for (const { labels, value } of samples) metric?.inc(labels, value);
  }

  private leaveOut(name: ReadName): void {
    const metric = this.gauges.get(name) ?? this.counters.get(name);
    metric?.reset();
    if (Object.keys(definitionOf(name).labels).length === 0) metric?.remove({});
  }

  private make(name: MetricName): void {
    const { type, meaning: help, labels, buckets } = definitionOf(name);
    const registers = [this.registry];
    const labelNames = Object.keys(labels);
    switch (type) {
      case 'counter':
        this.counters.set(name, new Counter({ name, help, labelNames, registers }));
        return;
      case 'gauge':
        this.gauges.set(name, new Gauge({ name, help, labelNames, registers }));
        return;
      case 'histogram': {
        const bounds = { buckets: [...(buckets ?? [])] };
        this.histograms.set(name, new Histogram({ name, help, labelNames, registers, ...bounds }));
      }
    }
  }
}

class MetricsSourceSlowError extends Error {
  override readonly name = 'MetricsSourceSlowError';
  readonly code = 'metrics_source_slow';
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new MetricsSourceSlowError(`not read in ${limitMs} ms`)),
      limitMs,
    );
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
