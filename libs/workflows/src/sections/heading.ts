/** A place where a document's own structure begins anew. */
export interface Heading {
  /** Start of the heading's line, or of an anchor line right above it. */
  readonly start: number;
  /** Where its text begins: after the heading's line, or at `start` where heading and text share it. */
  readonly bodyStart: number;
  /** 1 is outermost. Levels only put headings in order; they have gaps. */
  readonly level: number;
  readonly number: string | null;
  /** Empty for a numbered clause that is a sentence. */
  readonly title: string;
}

/** Longer lines are text, whatever they begin with; it bounds what the patterns have to look at, too. */
export const LONGEST_HEADING = 300;
