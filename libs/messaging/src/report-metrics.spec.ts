import { PrometheusMetrics } from '#libs/metrics';
import type { ConsumerStatus } from './consumer/consumer-options.js';
import { reportConsumers } from './report-metrics.js';

const partition = { topic: 't', partition: 0, unsettled: 3, paused: false, lag: 5 };
const status: ConsumerStatus = {
  ...{
    joined: true,
    assignmentEpoch: 1,
    inWork: 0,
    waiting: 0,
    undecodable: 2,
    faults: 7,
    silentMs: 0,
  },
  partitions: [partition, { ...partition, paused: true, lag: null }],
};

it('a consumer is shown as the sum over its partitions, and as nothing before it has begun', async () => {
  const metrics = new PrometheusMetrics('processor');
  reportConsumers(metrics, {
    work: { consumerStatus: () => status },
    later: { consumerStatus: () => null },
  });
  const lines = (await metrics.text()).split('\n').filter((line) => line.includes('group='));
  expect(lines.sort()).toEqual(
    Object.entries({
      joined: [1, 0],
      lag_records: [5, 0],
      buffered_records: [6, 0],
      paused_partitions: [1, 0],
      undecodable_total: [2, 0],
      faults_total: [7, 0],
    })
      .flatMap(([name, [work, later]]) => [
        `holdfast_consumer_${name}{group="work"} ${work}`,
        `holdfast_consumer_${name}{group="later"} ${later}`,
      ])
      .sort(),
  );
});
