import { definitionOf, metricNames } from './metric-catalogue.js';
import { PrometheusMetrics } from './prometheus-metrics.js';

const valueOf = (text: string, sample: string) =>
  text
    .split('\n')
    .find((line) => line.startsWith(`${sample} `))
    ?.split(' ')[1];

describe('the catalogue', () => {
  it('names metrics as Prometheus has them named', () => {
    for (const name of metricNames) {
      const { type, buckets } = definitionOf(name);
      expect(name).toMatch(/^holdfast_[a-z_]+$/);
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
      expect([name, buckets !== undefined]).toEqual([name, type === 'histogram']);
    }
  });

  it('labels nothing by what there may be any number of', () => {
    const labels = metricNames.flatMap((name) => Object.keys(definitionOf(name).labels));
    for (const unbounded of ['run', 'runId', 'call', 'callId', 'tenant', 'key', 'owner', 'url'])
      expect(labels).not.toContain(unbounded);
  });
});

describe('metrics', () => {
  it('count, measure, and are all there before anything happens', async () => {
    const metrics = new PrometheusMetrics('processor');
    metrics.add('holdfast_rescues_total', { kind: 'lease_expired' });
    metrics.add('holdfast_rescues_total', { kind: 'lease_expired' }, 2);
    metrics.observe('holdfast_run_attempts', { outcome: 'completed' }, 2);
    const text = await metrics.text();
    expect(valueOf(text, 'holdfast_rescues_total{kind="lease_expired"}')).toBe('3');
    expect(valueOf(text, 'holdfast_run_attempts_sum{outcome="completed"}')).toBe('2');
    expect(valueOf(text, 'holdfast_leases_lost_total')).toBe('0');
    expect(text).toContain('# TYPE holdfast_admissions_total counter');
    expect(text).not.toContain('holdfast_runs_accepted_total');
    expect(text).toContain('process_cpu_seconds_total');
  });

  it('that are read at the scrape show what is, and forget what was', async () => {
    const metrics = new PrometheusMetrics('api');
    let reason = 'gap';
    metrics.readFrom('spec', ['holdfast_parked_events'], () => ({
      holdfast_parked_events: [{ labels: { reason }, value: 4 }],
    }));
    expect(valueOf(await metrics.text(), 'holdfast_parked_events{reason="gap"}')).toBe('4');
    reason = 'refused';
    const text = await metrics.text();
    expect(valueOf(text, 'holdfast_parked_events{reason="refused"}')).toBe('4');
    expect(text).not.toContain('reason="gap"');
  });

  it('whose source fails are left out, cost no others, and are counted', async () => {
    const metrics = new PrometheusMetrics('api');
    let isAway = false;
    metrics.readFrom('outbox', ['holdfast_outbox_waiting_rows'], () => {
      if (isAway) throw new Error('away');
      return { holdfast_outbox_waiting_rows: [{ labels: {}, value: 7 }] };
    });
    metrics.readFrom('hub', ['holdfast_event_watchers'], () => ({
      holdfast_event_watchers: [{ labels: {}, value: 2 }],
    }));
    expect(valueOf(await metrics.text(), 'holdfast_outbox_waiting_rows')).toBe('7');
    isAway = true;
    const text = await metrics.text();
    expect(valueOf(text, 'holdfast_outbox_waiting_rows')).toBeUndefined();
    expect(valueOf(text, 'holdfast_event_watchers')).toBe('2');
    expect(valueOf(text, 'holdfast_metrics_unread_total{source="outbox"}')).toBe('1');
  });
});
