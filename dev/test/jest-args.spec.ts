import { needsServers, withWorkers } from './jest-args.js';

describe('whether the specs asked for need servers', () => {
  it.each([
    [[], true],
    [['--selectProjects', 'unit'], false],
    [['--selectProjects', 'unit', 'flow'], true],
    [['--selectProjects', 'unit', '--', 'libs/domain'], false],
    [['libs/domain', './dev/stack'], false],
    [['libs/domain', 'test/flow'], true],
    [['--silent', 'apps/api/src/settings.spec.ts'], false],
    [['-t', 'a run completes'], true],
  ])('%j: %s', (args, needed) => {
    expect(needsServers(args)).toBe(needed);
  });
});

describe('how many workers', () => {
  it('two at least, unless the arguments say', () => {
    expect(withWorkers(['libs'], 2)).toEqual(['--maxWorkers=2', 'libs']);
    expect(withWorkers([], 16)).toEqual(['--maxWorkers=8']);
    expect(withWorkers(['--maxWorkers=1'], 16)).toEqual(['--maxWorkers=1']);
    expect(withWorkers(['-i', 'libs'], 16)).toEqual(['-i', 'libs']);
  });
});
