import { decideTake } from './process-record.js';
import type { RecordedChild } from './process-record.js';

const owner = { pid: 10, startMark: 'boot 100' };
const child = (pid: number): RecordedChild => ({
  ...{ pid, startMark: `boot ${pid}`, name: `child ${pid}` },
  ...{ stopSignal: 'SIGTERM', graceMs: 1_000 },
});
const living = (...pids: number[]) => {
  return ({ pid }: { pid: number }) => pids.includes(pid);
};

describe('what a data folder says about its processes', () => {
  it('without a record the folder is free', () => {
    expect(decideTake(undefined, living())).toEqual({ kind: 'free' });
  });

  it('a living owner holds it, whatever became of its children', () => {
    expect(decideTake({ owner, children: [child(11)] }, living(10))).toEqual({
      kind: 'held',
      pid: 10,
    });
  });

  it('a dead owner leaves its living children as orphans, and only those', () => {
    const found = { owner, children: [child(11), child(12)] };
    expect(decideTake(found, living(12))).toEqual({ kind: 'abandoned', orphans: [child(12)] });
  });
});
