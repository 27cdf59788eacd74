/** Headings that say so in Markdown or HTML: levels 1 to 6. Fenced code and front matter hold none. */
import { LONGEST_HEADING, type Heading } from './heading.js';
import { parseHeadingText } from './heading-text.js';
import type { Line } from './source-lines.js';

export interface MarkdownHeadings {
  readonly headings: readonly Heading[];
  /** Indexes of lines that no other reading of headings may look at. */
  readonly spokenFor: ReadonlySet<number>;
}

const ATX = /^ {0,3}(#{1,6})[ \t]+(\S.*)$/;
const HTML = /^\s*<h([1-6])\b[^<>]*>(.+)<\/h[1-6]>\s*$/i;
const UNDERLINE = /^ {0,3}(?:(={2,})|-{2,})[ \t]*$/;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;

export function markdownHeadings(lines: readonly Line[]): MarkdownHeadings {
  const headings: Heading[] = [];
  const spokenFor = opaqueLines(lines);
  for (const [at, line] of lines.entries()) {
    if (spokenFor.has(at) || line.text.length > LONGEST_HEADING) continue;
    const next = lines[at + 1];
    const marked = markedTitle(line);
    if (marked !== null) {
      headings.push(toHeading(line, line, marked.level, marked.title));
      spokenFor.add(at);
    } else if (next !== undefined && !spokenFor.has(at + 1) && standsAlone(line, lines[at - 1])) {
      const underline = UNDERLINE.exec(next.text);
      if (underline === null) continue;
      headings.push(toHeading(line, next, underline[1] === undefined ? 2 : 1, line.text));
      spokenFor.add(at).add(at + 1);
    }
  }
  return { headings, spokenFor };
}

function markedTitle(line: Line): { level: number; title: string } | null {
  const atx = ATX.exec(line.text);
  if (atx !== null) {
    const [, marks = '', title = ''] = atx;
    return { level: marks.length, title: title.replace(/(^|\s)#+\s*$/, '') };
  }
  const html = HTML.exec(line.text);
  return html === null ? null : { level: Number(html[1]), title: html[2] ?? '' };
}

/** Whether dashes below would underline it: a line of its own that is no list item, quote, table row or rule. */
function standsAlone(line: Line, previous: Line | undefined): boolean {
  if (line.blank || !(previous?.blank ?? true)) return false;
  return !/^\s*([-*+>|]|={2,}|-{2,})/.test(line.text) && /[\p{L}\p{N}]/u.test(line.text);
}

function toHeading(first: Line, last: Line, level: number, raw: string): Heading {
  const { number, title } = parseHeadingText(raw);
  return { start: first.start, bodyStart: last.end, level, number, title };
}

/** Lines inside fenced code and front matter. An unclosed fence runs to the end, as CommonMark has it. */
function opaqueLines(lines: readonly Line[]): Set<number> {
  const opaque = frontMatter(lines);
  let fence: string | null = null;
  for (const [at, line] of lines.entries()) {
    if (opaque.has(at)) continue;
    const mark = FENCE.exec(line.text)?.[1];
    if (fence !== null) {
      opaque.add(at);
      if (mark?.startsWith(fence) === true) fence = null;
    } else if (mark !== undefined) {
      opaque.add(at);
      fence = mark;
    }
  }
  return opaque;
}

const LONGEST_FRONT_MATTER = 60;

function frontMatter(lines: readonly Line[]): Set<number> {
  if (lines[0]?.text.trimEnd() !== '---' || lines[1]?.blank !== false) return new Set();
  const close = lines
    .slice(1, LONGEST_FRONT_MATTER)
    .findIndex((line) => /^---\s*$/.test(line.text));
  return new Set(Array.from({ length: close < 0 ? 0 : close + 2 }, (_, at) => at));
}
