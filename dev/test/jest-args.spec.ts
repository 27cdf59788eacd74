import { needsServers } from './jest-args.js';

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
