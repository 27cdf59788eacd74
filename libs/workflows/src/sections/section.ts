/** What splitting a document gives: its outline, and the sections that are put before the model one by one. */

/** Where something stands in a document, in the document's own words. */
export interface Place {
  /** As the document writes it: `3.2.1`, `Exhibit 1`, `1.08(a)`; the nearest one above; null where there is none. */
  readonly number: string | null;
  readonly title: string;
  /** Headings from the outermost to this one, as in `['3 Scope of Work', '3.02 Requirements']`. */
  readonly path: readonly string[];
}

/** Offsets count UTF-16 code units, as `String.slice` does; `end` is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A heading or numbered clause, with the text up to the next one. */
export interface OutlineEntry extends Place, Span {}

/** One piece of the document that makes a sensible prompt: a heading with all below it, a run of small ones, or a part of a long one. */
export interface Section extends Place, Span {
  readonly words: number;
  /** `text` is worth a call; tables of contents and headings with nothing under them are not. */
  readonly kind: 'text' | 'contents' | 'empty';
}

export interface SplitDocument {
  /** In order, without gaps or overlaps. */
  readonly outline: readonly OutlineEntry[];
  /** In order, without gaps or overlaps: put together they are the source, character for character. */
  readonly sections: readonly Section[];
  /** White-space separated words of the whole source. */
  readonly words: number;
}
