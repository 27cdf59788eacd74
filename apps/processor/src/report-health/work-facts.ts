/** What health tells of the work itself. */
export interface WorkFacts {
  /** Runs that this process holds now. */
  readonly inHand: () => number;
  /** In words; null: all that are held were renewed in time. */
  readonly leasesProblem: () => string | null;
  /** Runs that it has rescued since it started. */
  readonly rescued: () => number;
}

export const WORK_FACTS = Symbol('WorkFacts');
