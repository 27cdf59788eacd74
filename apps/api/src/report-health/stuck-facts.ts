/** What health tells of runs of which nothing is heard. */
export interface StuckFacts {
  find(): Promise<{
    readonly runs: number;
    readonly oldest: { readonly runId: string; readonly silentMs: number } | null;
  }>;
}

export const STUCK_FACTS = Symbol('StuckFacts');
