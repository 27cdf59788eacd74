import type { CounterName, HistogramName, LabelsOf } from './metric-catalogue.js';

/** What libs and apps count with. Cheap enough for every call and every run; what is dear is read at the scrape instead. */
export interface Metrics {
  /** @param by default 1 */
  add<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by?: number): void;
  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, value: number): void;
}

/** For specs and tools that count nothing. */
export const noMetrics: Metrics = { add: () => undefined, observe: () => undefined };
