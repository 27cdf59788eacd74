/**
 * Finds where a document's own headings and numbered clauses begin. Tenders come as tidy Markdown, as Markdown
 * made from Word, and as plain text, often mixed, so both readings are combined.
 */
import type { Heading } from './heading.js';
import { markdownHeadings } from './markdown-headings.js';
import { plainHeading } from './plain-headings.js';
import { toLines, type Line } from './source-lines.js';

/** In the order of the source; no two begin at the same place. */
export function findHeadings(source: string): Heading[] {
  const lines = toLines(source);
  const { headings, spokenFor } = markdownHeadings(lines);
  const inMarkdown = headings.length > 0;
  const plain = lines.flatMap((line, at) => {
    if (line.blank || spokenFor.has(at)) return [];
    const previous = spokenFor.has(at - 1) ? undefined : lines[at - 1];
    return plainHeading(line, { previous, next: lines[at + 1], inMarkdown }) ?? [];
  });
  const anchors = anchorLines(lines);
  return [...headings, ...plain]
    .sort((a, b) => a.start - b.start)
    .map((heading) => ({ ...heading, start: anchors.get(heading.start) ?? heading.start }));
}

/** `<a name="3.2"></a>` on a line of its own belongs to the line below it: start of that line → start of the anchor. */
function anchorLines(lines: readonly Line[]): Map<number, number> {
  const anchors = new Map<number, number>();
  for (const [at, line] of lines.entries()) {
    const next = lines[at + 1];
    if (next !== undefined && /^\s*(?:<a\b[^<>]*>\s*<\/a>\s*)+$/i.test(line.text.slice(0, 400))) {
      anchors.set(next.start, line.start);
    }
  }
  return anchors;
}
