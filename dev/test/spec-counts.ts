/** Counts of a jest run, from its JSON report, and the one plain line that ends every test command. */
export interface SpecCounts {
  readonly passed: number;
  readonly failed: number;
}

/** The part of jest's report (`--json`) that is read here. */
export interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** Files that broke before their specs could run: each counts as one failure. */
  readonly numRuntimeErrorTestSuites: number;
  readonly wasInterrupted?: boolean;
}

export function countSpecs(report: JestReport | undefined, exitCode: number): SpecCounts {
  const passed = report?.numPassedTests ?? 0;
  const failed = (report?.numFailedTests ?? 0) + (report?.numRuntimeErrorTestSuites ?? 0);
  // Jest can fail with no failed spec (nothing matched, a crash, an interruption): never report that as a pass.
  return { passed, failed: exitCode !== 0 && failed === 0 ? 1 : failed };
}

export function formatCounts({ passed, failed }: SpecCounts): string {
  return `${passed} passed, ${failed} failed`;
}
