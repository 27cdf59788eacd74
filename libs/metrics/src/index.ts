/** What is counted, declared in one table, and the port to count with. Hides prom-client. */
export {
  definitionOf,
  metricNames,
  type AppName,
  type MetricDefinition,
} from './metric-catalogue.js';
export { noMetrics, type Metrics } from './metrics.js';
export { PrometheusMetrics, type Readings } from './prometheus-metrics.js';
export { atMostEvery } from './at-most-every.js';
