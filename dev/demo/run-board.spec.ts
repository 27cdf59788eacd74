import { deservesLine, progressBar } from './run-board.js';
import type { RunNews } from './run-board.js';

const running = (itemsDone: number | null): RunNews => ({
  status: 'running',
  message: '',
  progress: {
    step: 'Reading the sections',
    stepsDone: 1,
    stepsTotal: 3,
    itemsDone,
    itemsTotal: itemsDone === null ? null : 20,
  },
});

describe('which news of a run deserves a line', () => {
  it.each([
    ['the first', undefined, running(null), true],
    ['a change of state', running(3), { ...running(3), status: 'retrying' } as const, true],
    ['the first measured progress', running(null), running(0), true],
    ['progress within a quarter', running(1), running(4), false],
    ['another quarter done', running(4), running(5), true],
    ['progress that is not measured', running(null), running(null), false],
  ])('%s', (_name, before, now, deserves) => {
    expect(deservesLine(before, now)).toBe(deserves);
  });

  it('draws measured items only', () => {
    expect(progressBar(running(5).progress, 8)).toBe('██░░░░░░ 5 of 20');
    expect(progressBar(running(null).progress)).toBe('');
  });
});
