/** Reads the words of a heading: which number it bears, and what its title is. */
import { withoutMarkup } from './measure-text.js';

export interface HeadingText {
  readonly number: string | null;
  /** How deep the number goes: 2 for `3.2`; 0 without number. */
  readonly depth: number;
  /** Empty where the heading is a bare number; `Section 4` stands in for itself. */
  readonly title: string;
}

const WORD =
  'sec(?:tion|\\.)?|clause|article|exhibit|appendix|annex|schedule|attachment|enclosure|part|chapter|volume|lot';

/** `Section 4. Title`, `Sec. 1.01 Title`, `Appendix A: Title`, `Part II – Title`. */
const WORDED = new RegExp(
  `^(${WORD})\\s+((?:\\d{1,3}|[A-Z]|[IVXLC]{1,6})(?:[.-]\\d{1,3})*[A-Z]?)(?![\\p{L}\\p{N}])[\\s.:)–—-]*(.*)$`,
  'iu',
);
/** `3.2.1 Title`, `4. Title`, `A.3 Title`, `§ 12 Title`. */
const NUMBERED =
  /^(?:§+\s*)?(\d{1,3}(?:\.\d{1,3}){0,7}[a-z]?|[A-Z](?:\.\d{1,3}){1,7})(?:[.):]|\s*[–—:-](?=\s))?\s+(\S.*)$/u;
const NUMBER_ALONE = /^(?:§+\s*)?(\d{1,3}(?:\.\d{1,3}){0,7}|[A-Z](?:\.\d{1,3}){1,7})[.)]?$/u;
/** `(a) Title`, `(iv) Title`. */
const BRACKETED = /^(\((?:[a-zA-Z]|[ivxlc]{1,6}|\d{1,3})\))\s+(\S.*)$/u;
/** `IV. Title`. */
const ROMAN = /^([IVXLC]{1,6})\.\s+(\S.*)$/u;

export function parseHeadingText(raw: string): HeadingText {
  const text = plainWords(raw);
  const worded = WORDED.exec(text);
  if (worded !== null) {
    const [, word = '', digits = '', rest = ''] = worded;
    const title = tidyTitle(rest);
    return {
      number: nameOf(word, digits),
      depth: depthOf(digits),
      title: title === '' ? `${capitalised(word)} ${digits}` : title,
    };
  }
  const numbered =
    NUMBERED.exec(text) ?? NUMBER_ALONE.exec(text) ?? BRACKETED.exec(text) ?? ROMAN.exec(text);
  if (numbered !== null) {
    const [, number = '', rest = ''] = numbered;
    return { number, depth: depthOf(number), title: tidyTitle(rest) };
  }
  return { number: null, depth: 0, title: tidyTitle(text) };
}

/** What a reader sees of a line: no anchors, emphasis, link targets, escapes or entities. */
export function plainWords(raw: string): string {
  return withoutMarkup(raw)
    .replace(/\{#[^{}]*\}\s*$/, '')
    .replace(/&nbsp;|&#160;/gi, ' ')
    .replace(/&amp;/gi, '&')
    .replace(/&quot;/gi, '"')
    .replace(/&lt;/gi, '<')
    .replace(/&gt;/gi, '>')
    .replace(/\*+|`+|(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu, '')
    .replace(/\\(?=[^\p{L}\p{N}\s])/gu, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Sections and clauses are cited by their bare number; of the rest the word is part of the name. */
function nameOf(word: string, digits: string): string {
  if (/^(sec|clause)/i.test(word)) return digits;
  return `${capitalised(word)} ${digits}`;
}

const capitalised = (word: string): string =>
  `${word.charAt(0).toUpperCase()}${word.slice(1).toLowerCase()}`;

const depthOf = (number: string): number => number.split(/[.-]/).length;

const tidyTitle = (text: string): string => text.replace(/[\s.:;–—-]+$/u, '').trim();
