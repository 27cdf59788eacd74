import { countSpecs, formatCounts } from './spec-counts.js';

const report = { numPassedTests: 12, numFailedTests: 0, numRuntimeErrorTestSuites: 0 };

describe('the line that ends a test command', () => {
  it('counts specs', () => {
    const counts = countSpecs({ ...report, numFailedTests: 2 }, 1);
    expect(formatCounts(counts)).toBe('12 passed, 2 failed');
  });

  it('counts a file that broke before its specs ran as one failure', () => {
    const counts = countSpecs({ ...report, numRuntimeErrorTestSuites: 1 }, 1);
    expect(formatCounts(counts)).toBe('12 passed, 1 failed');
  });

  it('never calls a run passed that jest ended with an error', () => {
    expect(countSpecs(report, 1)).toEqual({ passed: 12, failed: 1 });
    expect(countSpecs(undefined, 1)).toEqual({ passed: 0, failed: 1 });
  });
});
