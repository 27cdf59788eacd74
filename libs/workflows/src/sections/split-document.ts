/**
 * Splits a document along its own headings and numbering. Pure and deterministic: the same text always gives the
 * same sections, which is what lets a run continue after a takeover.
 */
import { findHeadings } from './find-headings.js';
import { countWords } from './measure-text.js';
import { buildOutline, nodesOf } from './outline.js';
import { packSections } from './pack-sections.js';
import type { OutlineEntry, Place, SplitDocument } from './section.js';

export function splitDocument(source: string): SplitDocument {
  const root = buildOutline(source, findHeadings(source));
  return {
    outline: [...nodesOf(root)]
      .filter(({ start, end }) => start < end)
      .map(({ place, start, end }) => ({ ...place, start, end })),
    sections: source === '' ? [] : packSections(source, root),
    words: countWords(source),
  };
}

/** The outline's entry that the offset stands in; `outline` covers the source, so there is one for every offset in it. */
export function placeAt(outline: readonly OutlineEntry[], offset: number): Place | undefined {
  let low = 0;
  let high = outline.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((outline[middle]?.start ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return outline[low];
}
