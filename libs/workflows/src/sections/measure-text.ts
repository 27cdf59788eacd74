/** How much there is to read in a text. All patterns are linear: a hostile document costs no more than a long one. */

export interface Measure {
  /** Words with a letter or digit, without mark-up, images and link targets. */
  readonly words: number;
  /** What sizes are decided by: words, or their equivalent where a script does without spaces. */
  readonly weight: number;
}

const CHARACTERS_PER_WORD = 10;

export function measureText(text: string): Measure {
  const readable = withoutMarkup(text)
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  const characters = text.replace(/\s+/g, ' ').length;
  return {
    words: readable.length,
    weight: Math.max(readable.length, Math.ceil(characters / CHARACTERS_PER_WORD)),
  };
}

/** White-space separated words, as `wc -w` counts them: the size that people see. */
export function countWords(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

/** Text that says only that nothing is said. */
export function isPlaceholder(text: string): boolean {
  const words = withoutMarkup(text.slice(0, 200))
    .replace(/[^\p{L}/]+/gu, ' ')
    .trim();
  return (
    text.length <= 200 &&
    /^(reserved|none|n\/a|not used|(this \S+ )?intentionally (left )?blank)?$/i.test(words)
  );
}

export function withoutMarkup(text: string): string {
  return text
    .replace(/<[^<>]*>/g, ' ')
    .replace(/!\[[^\][]*\]\([^()]*\)/g, ' ')
    .replace(/\[([^\][]*)\]\([^()]*\)/g, '$1');
}
