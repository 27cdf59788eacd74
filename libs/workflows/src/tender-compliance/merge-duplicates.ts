/**
 * Tenders repeat themselves, and neighbouring sections overlap in what they say. Two finds are one requirement if
 * - they are restated in the same words, or
 * - they quote the same words in different sections.
 * The same quote twice in *one* section with different restatements is a sentence that binds twice: both stay.
 */
import { foldSpace } from './folded-text.js';

export interface Find {
  readonly text: string;
  readonly quote: string;
  readonly section: number;
  readonly sourceOffset: number | null;
}

export interface Merged<F> {
  readonly kept: F;
  /** What was found to be the same, in the order given. */
  readonly repeats: readonly F[];
}

/** Keeps the order of `finds`; of two that are the same, a verified quote wins over a flagged one, else the earlier. */
export function mergeDuplicates<F extends Find>(finds: readonly F[]): Merged<F>[] {
  const groups = new Map<F, F[]>();
  const byText = new Map<string, F>();
  const byQuote = new Map<string, F[]>();
  const verifiedFirst = [
    ...finds.filter(({ sourceOffset }) => sourceOffset !== null),
    ...finds.filter(({ sourceOffset }) => sourceOffset === null),
  ];
  for (const find of verifiedFirst) {
    const sameQuote = byQuote.get(keyOf(find.quote)) ?? [];
    const kept =
      byText.get(keyOf(find.text)) ?? sameQuote.find(({ section }) => section !== find.section);
    if (kept !== undefined) {
      groups.get(kept)?.push(find);
      continue;
    }
    groups.set(find, []);
    byText.set(keyOf(find.text), find);
    byQuote.set(keyOf(find.quote), [...sameQuote, find]);
  }
  return finds.flatMap((find) => {
    const repeats = groups.get(find);
    return repeats === undefined ? [] : [{ kept: find, repeats }];
  });
}

const keyOf = (text: string): string =>
  foldSpace(text)
    .toLowerCase()
    .replace(/[\s.,;:]+$/, '');
