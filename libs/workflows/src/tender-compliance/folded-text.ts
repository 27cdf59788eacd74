/**
 * Looks quotes up in a text whatever its line ends and spacing: runs of white space (line ends, tabs, no-break spaces
 * too) count as one space, and nothing else is forgiven. Not case, not dashes, not curly quotes.
 */
import type { Span } from '../sections/section.js';

export const foldSpace = (text: string): string => text.replace(/\s+/g, ' ').trim();

export class FoldedText {
  readonly #folded: string;
  /** Where folding shifts offsets: from `folded[i]` on, a folded offset plus `shift[i]` is the source's. */
  readonly #foldedAt: number[] = [0];
  readonly #shift: number[] = [0];

  constructor(source: string) {
    const parts: string[] = [];
    let foldedLength = 0;
    let sourceAt = 0;
    for (const gap of source.matchAll(/\s+/g)) {
      parts.push(source.slice(sourceAt, gap.index), ' ');
      foldedLength += gap.index - sourceAt + 1;
      sourceAt = gap.index + gap[0].length;
      if (gap[0].length > 1) {
        this.#foldedAt.push(foldedLength);
        this.#shift.push(sourceAt - foldedLength);
      }
    }
    parts.push(source.slice(sourceAt));
    this.#folded = parts.join('');
  }

  /** Offset in the source where the quote begins: inside `first` if it stands there, else anywhere, else null. */
  find(quote: string, first: Span): number | null {
    const wanted = foldSpace(quote);
    if (wanted === '') return null;
    const near = this.#folded.indexOf(wanted, this.#toFolded(first.start));
    const nearOffset = near < 0 ? null : this.#toSource(near);
    if (nearOffset !== null && nearOffset < first.end) return nearOffset;
    const anywhere = this.#folded.indexOf(wanted);
    return anywhere < 0 ? null : this.#toSource(anywhere);
  }

  #toSource(folded: number): number {
    return (
      folded +
      (this.#shift[lastNotAbove(this.#foldedAt.length, (at) => this.#foldedAt[at] ?? 0, folded)] ??
        0)
    );
  }

  /** At or just before the place, never after it. */
  #toFolded(source: number): number {
    const at = lastNotAbove(
      this.#foldedAt.length,
      (index) => (this.#foldedAt[index] ?? 0) + (this.#shift[index] ?? 0),
      source,
    );
    const next = this.#foldedAt[at + 1] ?? Infinity;
    return Math.min(source - (this.#shift[at] ?? 0), next - 1);
  }
}

/** The last of `count` rising values that is not above `limit`; the first one if all are. */
function lastNotAbove(count: number, valueAt: (index: number) => number, limit: number): number {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (valueAt(middle) <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}
