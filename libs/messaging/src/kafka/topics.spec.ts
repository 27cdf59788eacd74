import { differencesOf } from './topics.js';

const spec = {
  name: 'spec.retry.5s',
  partitions: 12,
  retentionMs: 1_000,
  config: { 'message.timestamp.type': 'LogAppendTime' },
};

describe('an existing topic', () => {
  it('differs by partition count and by the settings asked for', () => {
    const settings = new Map([['message.timestamp.type', 'CreateTime']]);
    expect(differencesOf(spec, { partitions: 6, settings })).toEqual([
      'spec.retry.5s has 6 partitions, wanted 12',
      'spec.retry.5s has message.timestamp.type=CreateTime, wanted LogAppendTime',
    ]);
  });

  it("keeps an operator's retention", () => {
    const settings = new Map([
      ['message.timestamp.type', 'LogAppendTime'],
      ['retention.ms', '99'],
    ]);
    expect(differencesOf(spec, { partitions: 12, settings })).toEqual([]);
  });
});
