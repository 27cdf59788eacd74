/** Splits a document along its own headings. */
import type { Section, SplitDocument } from './section.js';

export function splitDocument(source: string): SplitDocument {
  const starts = [...source.matchAll(/^#{1,6}[ \t]+(.*?)[ \t]*$/gm)].map((match) => ({
    start: match.index,
    title: (match[1] ?? '').replace(/<[^>]*>/g, '').trim(),
  }));
  if (starts[0]?.start !== 0) starts.unshift({ start: 0, title: 'Introduction' });
  const sections = starts.map(({ start, title }, at): Section => {
    const end = starts[at + 1]?.start ?? source.length;
    const words = countWords(source.slice(start, end));
    return {
      number: null,
      title,
      path: [title],
      start,
      end,
      words,
      kind: words > 12 ? 'text' : 'empty',
    };
  });
  return { outline: sections, sections, words: countWords(source) };
}

export function countWords(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}
