/** A text as lines that know where they stand. Line ends may be LF, CRLF or CR, mixed at will. */
import type { Span } from './section.js';

/** `end` is after the line's own line end, so that lines put together are the source. */
export interface Line extends Span {
  /** Without its line end. */
  readonly text: string;
  readonly blank: boolean;
}

export function toLines(source: string): Line[] {
  const lines: Line[] = [];
  let start = 0;
  for (const lineEnd of source.matchAll(/\r\n|\n|\r/g)) {
    lines.push(toLine(source, start, lineEnd.index, lineEnd.index + lineEnd[0].length));
    start = lineEnd.index + lineEnd[0].length;
  }
  if (start < source.length) lines.push(toLine(source, start, source.length, source.length));
  return lines;
}

function toLine(source: string, start: number, textEnd: number, end: number): Line {
  const text = source.slice(start, textEnd);
  return { start, end, text, blank: text.trim() === '' };
}
