/** Recognises tables of contents: they name every requirement's heading and hold no requirement. */
import { plainWords } from './heading-text.js';
import { isContentsLine } from './plain-headings.js';

export const isContentsTitle = (title: string): boolean =>
  /^(?:table of contents|contents|list of (?:tables|figures|appendices|annexes)|index)$/i.test(
    title,
  );

/** Under a heading that announces a table of contents: anything but prose. */
export const readsLikeContents = (text: string): boolean =>
  linesOf(text).every((line) => isEntry(line) || !isProse(line));

/** Where no heading announces it: entries only, and several of them. */
export function isContentsList(text: string): boolean {
  const lines = linesOf(text);
  return lines.length >= 5 && lines.every(isEntry);
}

const linesOf = (text: string): string[] =>
  text.split(/[\r\n]+/).filter((line) => line.trim() !== '');

/** A dotted leader with a page number, or nothing but a link into the document. */
const isEntry = (line: string): boolean =>
  isContentsLine(line) || /^\s*(?:[-*+]\s+|\d+[.)]\s+)?\[[^\][]*\]\(#[^()]*\)\s*$/.test(line);

function isProse(line: string): boolean {
  const words = plainWords(line.slice(0, 1_000));
  return (
    words.length > 120 ||
    /\b(?:shall|must|should|required to)\b/i.test(words) ||
    /\w{2,}[.;:]$/.test(words)
  );
}
