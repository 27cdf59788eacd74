/** The words in which requirements are classified; prompt, extraction and result share them. */
export const OBLIGATIONS = ['shall', 'must', 'should'] as const;

export const CATEGORIES = [
  'technical',
  'security',
  'legal',
  'commercial',
  'delivery',
  'staffing',
  'submission',
  'support',
  'other',
] as const;

export const CONFIDENCES = ['low', 'medium', 'high'] as const;

export type Obligation = (typeof OBLIGATIONS)[number];

/** The quote's own word decides; what the model said counts where the quote has several such words, or none. */
export function classifyObligation(quote: string, said: Obligation): Obligation {
  const words = (quote.match(/\b(?:shall|must|should)\b/gi) ?? []).map((word) =>
    word.toLowerCase(),
  );
  if (words.includes(said)) return said;
  return OBLIGATIONS.find((obligation) => obligation === words[0]) ?? said;
}
