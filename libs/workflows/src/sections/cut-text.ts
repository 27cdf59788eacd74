/**
 * Cuts a text that is too long for one prompt into even parts, at the gentlest border that will do: between
 * paragraphs, else lines, else sentences, else words; in an endless word, anywhere but inside a character.
 */
import { measureText } from './measure-text.js';
import type { Span } from './section.js';

export interface CutLimits {
  /** What a part should weigh about. */
  readonly aimWeight: number;
  /** What no part may exceed. */
  readonly maxWeight: number;
}

/** Parts in order, without gaps: put together they are the span. */
export function cutText(source: string, span: Span, limits: CutLimits): Span[] {
  const atoms = atomsOf(source, span, limits.maxWeight, BORDERS);
  const total = atoms.reduce((sum, atom) => sum + atom.weight, 0);
  const aim = total / Math.max(1, Math.round(total / limits.aimWeight));
  const parts: Atom[] = [];
  for (const atom of atoms) {
    const last = parts.at(-1);
    const fits = last !== undefined && last.weight + atom.weight <= limits.maxWeight;
    const wanted =
      last !== undefined && (last.weight + atom.weight / 2 <= aim || introduces(source, last));
    if (last !== undefined && fits && wanted) {
      parts[parts.length - 1] = {
        start: last.start,
        end: atom.end,
        weight: last.weight + atom.weight,
      };
    } else parts.push(atom);
  }
  return parts.map(({ start, end }) => ({ start, end }));
}

interface Atom extends Span {
  readonly weight: number;
}

/** Each matches the gap after which the text may be cut; from gentle to rough. */
const BORDERS: readonly RegExp[] = [
  /(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)+/g,
  /\r\n|\n|\r/g,
  /[.!?;]["”')\]]*\s+/g,
  /\s+/g,
];

/** Atoms that weigh no more than `maxWeight`, cut at the first border that gets them there. */
function atomsOf(
  source: string,
  span: Span,
  maxWeight: number,
  borders: readonly RegExp[],
): Atom[] {
  const weight = measureText(source.slice(span.start, span.end)).weight;
  const [border, ...rougher] = borders;
  if (weight <= maxWeight && border !== BORDERS[0]) return [{ ...span, weight }];
  if (border === undefined) return hardCut(source, span, maxWeight);
  return cutAfter(source, span, border).flatMap((piece) => {
    const pieceWeight = measureText(source.slice(piece.start, piece.end)).weight;
    return pieceWeight <= maxWeight
      ? [{ ...piece, weight: pieceWeight }]
      : atomsOf(source, piece, maxWeight, rougher);
  });
}

function cutAfter(source: string, span: Span, border: RegExp): Span[] {
  const text = source.slice(span.start, span.end);
  const ends = [...text.matchAll(border)].map((gap) => span.start + gap.index + gap[0].length);
  const cuts = [...new Set([span.start, ...ends, span.end])];
  return cuts.slice(1).map((end, at) => ({ start: cuts[at] ?? span.start, end }));
}

function hardCut(source: string, span: Span, maxWeight: number): Atom[] {
  const atoms: Atom[] = [];
  const step = maxWeight * 10;
  for (let start = span.start; start < span.end;) {
    const end = Math.min(span.end, start + step);
    const whole = end < span.end && isInsideCharacter(source, end) ? end + 1 : end;
    atoms.push({ start, end: whole, weight: maxWeight });
    start = whole;
  }
  return atoms;
}

const isInsideCharacter = (source: string, at: number): boolean =>
  /[\uD800-\uDBFF]/.test(source.charAt(at - 1)) && /[\uDC00-\uDFFF]/.test(source.charAt(at));

/** "The contractor shall:" stays with the list that it opens. */
const introduces = (source: string, { start, end }: Span): boolean =>
  source
    .slice(Math.max(start, end - 40), end)
    .trimEnd()
    .endsWith(':');
