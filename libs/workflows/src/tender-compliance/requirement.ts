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
export type Category = (typeof CATEGORIES)[number];
export type Confidence = (typeof CONFIDENCES)[number];
