import { differencesOf } from './topics.js';

const spec = {
  name: 'spec.retry.5s',
  partitions: 12,
  retentionMs: 1_000,
  config: { 'message.timestamp.type': 'LogAppendTime' },
};

const asWanted = new Map([['message.timestamp.type', 'LogAppendTime']]);

describe('an existing topic', () => {
  it('differs by partition count, by copies and by the settings asked for', () => {
    const settings = new Map([['message.timestamp.type', 'CreateTime']]);
    const found = { partitions: 6, replicas: 1, settings };
    expect(differencesOf({ ...spec, replicationFactor: 3 }, found)).toEqual([
      'spec.retry.5s has 6 partitions, wanted 12',
      'spec.retry.5s has 1 copies, wanted 3',
      'spec.retry.5s has message.timestamp.type=CreateTime, wanted LogAppendTime',
    ]);
  });

  it("keeps an operator's retention", () => {
    const settings = new Map([...asWanted, ['retention.ms', '99']]);
    expect(differencesOf(spec, { partitions: 12, replicas: 1, settings })).toEqual([]);
  });

  it('keeps its copies where none are asked for', () => {
    const found = { partitions: 12, replicas: 2, settings: asWanted };
    expect(differencesOf(spec, found)).toEqual([]);
  });
});
