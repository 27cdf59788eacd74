/**
 * Headings that no mark-up announces: `Section 4.`, `3.2.1 Hosting`, `(a) Bonds`, numbered clauses that are
 * sentences (`3.2.1 The supplier shall …`), lines in bold or capitals, and titles that run into their text
 * (`2. *Permitted uses*. The …`).
 *
 * The weaker a sign, the deeper its level: weak ones refine the outline and never tear a strong one apart.
 */
import { LONGEST_HEADING, type Heading } from './heading.js';
import { parseHeadingText, plainWords, type HeadingText } from './heading-text.js';
import type { Line } from './source-lines.js';

/** All below Markdown's six. A number's depth is added where it says more. */
const LEVEL = {
  part: 7,
  worded: 8,
  numbered: 8,
  clause: 20,
  bracketed: 30,
  setApart: 40,
  runIn: 41,
};

const WORDED_LINE =
  /^(?:section|sec\.|clause|article|exhibit|appendix|annex|schedule|attachment|enclosure|part|chapter|volume|lot)\s+(?:\d|[A-Z]\b|[IVXLC]+\b)/i;
const MODAL = /\b(?:shall|must|should|will|may|can|is|are|was|were|has|have|does|do)\b/i;

export interface Surroundings {
  readonly previous: Line | undefined;
  readonly next: Line | undefined;
  /** Whether the document has Markdown headings: `1. Title` is then a list item. */
  readonly inMarkdown: boolean;
}

export function plainHeading(line: Line, around: Surroundings): Heading | null {
  const opening = line.text.slice(0, LONGEST_HEADING);
  if (/^\s*[|>]/.test(opening) || isContentsLine(opening)) return null;
  if (isListed(opening, around.next)) return null;
  return (
    numberedTitle(line, opening, around) ??
    numberedClause(line, opening, around) ??
    setApart(line, around) ??
    runIn(line, opening, around)
  );
}

/** `3.1 Scope ........ 12`, `3.1 Scope<tab>12`: an entry of a table of contents, not the thing itself. */
export const isContentsLine = (text: string): boolean =>
  /(?:\.{3,}|(?:\. ){3,}|…{1,}|_{3,}|\t)\s*(?:\d{1,4}|[ivxlc]{1,6})\s*$/i.test(
    text.slice(-LONGEST_HEADING),
  );

/** A number and a short title on a line of their own. */
function numberedTitle(line: Line, opening: string, around: Surroundings): Heading | null {
  if (!startsParagraph(around) || line.text.length > LONGEST_HEADING) return null;
  const parsed = parseHeadingText(opening);
  if (parsed.number === null || !isTitle(parsed.title, opening)) return null;
  const level = levelOf(parsed, opening, around);
  if (level === null || runsOn(around.next)) return null;
  return {
    start: line.start,
    bodyStart: line.end,
    level,
    number: parsed.number,
    title: parsed.title,
  };
}

/** `1.1 Purpose` right above `1.2 Budget`: two entries of a list, such as a table of contents. */
function isListed(opening: string, next: Line | undefined): boolean {
  if (next === undefined || next.blank || next.text.length > LONGEST_HEADING) return false;
  const [here, below] = [parseHeadingText(opening), parseHeadingText(next.text)];
  if (here.number === null || below.number === null || here.depth !== below.depth) return false;
  return isTitle(here.title, opening) && isTitle(below.title, next.text);
}

/** The next line goes on in lower case: what looked like a title was the first line of a paragraph. */
const runsOn = (next: Line | undefined): boolean => /^\s*\p{Ll}/u.test(next?.text ?? '');

function levelOf(parsed: HeadingText, opening: string, around: Surroundings): number | null {
  const words = plainWords(opening);
  if (WORDED_LINE.test(words))
    return /^(?:part|volume|lot)/i.test(words) ? LEVEL.part : LEVEL.worded;
  if (parsed.title === '') return null;
  const endsLine = around.next?.blank ?? true;
  if (words.startsWith('(')) return endsLine ? LEVEL.bracketed : null;
  if (parsed.depth > 1) return LEVEL.numbered + parsed.depth;
  // `1. Title` alone could be an item of a list. Believed only where no Markdown says better.
  return endsLine && !around.inMarkdown ? LEVEL.numbered + 1 : null;
}

/** `3.2.1 The supplier shall …`: the number is worth having although there is no title. */
function numberedClause(line: Line, opening: string, around: Surroundings): Heading | null {
  const number =
    /^\s*(?:[-*+]\s+)?[*_]{0,2}((?:\d{1,3}|[A-Z])(?:\.\d{1,3}){1,7})[.)]?[*_]{0,2}\s+\S/u.exec(
      opening,
    )?.[1];
  if (number === undefined) return null;
  const first = plainWords(opening)
    .replace(/^(?:[-+]\s+)?\S+\s+/, '')
    .charAt(0);
  if (!/[\p{Lu}"“‘'([]/u.test(first)) return null;
  if (!startsParagraph(around) && !endsSentence(around.previous)) return null;
  return {
    start: line.start,
    bodyStart: line.start,
    level: LEVEL.clause + number.split('.').length,
    number,
    title: '',
  };
}

/** `**Key Personnel**`, `OBJECTIVES`: alone between blank lines. */
function setApart(line: Line, around: Surroundings): Heading | null {
  if (!startsParagraph(around) || !(around.next?.blank ?? true) || line.text.length > 120)
    return null;
  const text = line.text.trim();
  if (/__|\\_|\.{3}/.test(text.slice(2, -2))) return null; // a form to fill in
  const bold = /^(\*\*|__)(?!\s)[^*]+\1:?$/.test(text);
  const title = plainWords(text);
  if (!(bold || isCapitals(text)) || !isTitle(title.replace(/:$/, ''), title)) return null;
  return {
    start: line.start,
    bodyStart: line.end,
    level: LEVEL.setApart,
    ...parseHeadingText(text),
  };
}

const isCapitals = (text: string): boolean =>
  !/[\p{Ll}<>|]/u.test(text) && (text.match(/\p{Lu}/gu)?.length ?? 0) >= 4 && !/[.,;]$/.test(text);

/** `2. *Permitted uses*. The …`, `a. **Safeguards**: …`, `**Safeguards.** …`. */
function runIn(line: Line, opening: string, around: Surroundings): Heading | null {
  if (!startsParagraph(around)) return null;
  const match =
    /^\s*(?:(\d{1,3}|[a-z])([.)])\s+)?(\*\*|__|\*|_)([^*_]{3,80})\3(?:[.:]|(?<=[.:](?:\*\*|__|\*|_))|\s*$)/.exec(
      opening,
    );
  if (match === null) return null;
  const [, mark, dot, , raw = ''] = match;
  const title = plainWords(raw).replace(/[\s.:]+$/, '');
  if (!isTitle(title, title)) return null;
  const level = LEVEL.runIn + runInDepth(mark, dot);
  return {
    start: line.start,
    bodyStart: line.start,
    level,
    number: mark === undefined ? null : `(${mark})`,
    title,
  };
}

/** `1.` holds `a.`, which holds `1)`; a title without a number comes below them all. */
function runInDepth(mark: string | undefined, dot: string | undefined): number {
  if (mark === undefined) return 3;
  if (!/\d/.test(mark)) return 1;
  return dot === ')' ? 2 : 0;
}

const startsParagraph = ({ previous }: Surroundings): boolean => previous?.blank ?? true;

const endsSentence = (previous: Line | undefined): boolean =>
  previous !== undefined && /[.;:!?]["”')\]*_]*\s*$/.test(previous.text.slice(-20));

/** Short, begins like a title, and says nothing about anybody. */
function isTitle(title: string, line: string): boolean {
  if (title.length > 120 || title.split(' ').length > 14) return false;
  if (title === '') return true;
  if (!/^[\p{Lu}\p{N}"“‘'([]/u.test(title)) return false;
  return (
    !MODAL.test(title) &&
    !title.includes('=') &&
    !/[,;!?]\s*$/.test(line) &&
    !/[.!?]\s+\p{Lu}/u.test(title)
  );
}
