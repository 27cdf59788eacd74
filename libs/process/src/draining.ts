/** Whether the process is on its way down: readiness says so from the first moment. */
export class Draining {
  private sinceMs: number | null = null;

  begin(): void {
    this.sinceMs ??= performance.now();
  }

  /** In words; null while it is not. */
  get problem(): string | null {
    if (this.sinceMs === null) return null;
    const seconds = Math.round((performance.now() - this.sinceMs) / 1_000);
    return `the process has been draining for ${seconds} s: it takes nothing new, and ends`;
  }
}
