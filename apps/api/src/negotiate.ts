/**
 * The media type to answer with (RFC 9110, 12.5.1): of those offered the one that `Accept` likes best, the first of equals;
 * undefined where none is acceptable. The most specific range that matches a type decides about it; parameters but `q` are not
 * looked at.
 */
export function negotiate<Offer extends string>(
  accept: string | undefined,
  offered: readonly Offer[],
): Offer | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0];
  const ranges = accept.split(',').map(rangeOf);
  let best: { readonly type: Offer; readonly quality: number } | undefined;
  for (const type of offered) {
    const quality = qualityOf(type, ranges);
    if (quality > (best?.quality ?? 0)) best = { type, quality };
  }
  return best?.type;
}

interface MediaRange {
  readonly range: string;
  readonly quality: number;
}

function rangeOf(text: string): MediaRange {
  const [range = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.map((each) => /^q\s*=\s*(.*)$/.exec(each)?.[1]).find(Boolean);
  const quality = weight === undefined ? 1 : Number(weight);
  return { range, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  const family = `${type.split('/')[0]}/*`;
  for (const range of [type, family, '*/*']) {
    const found = ranges.find((each) => each.range === range);
    if (found) return found.quality;
  }
  return 0;
}
