/**
 * Packs an outline into sections that each make a sensible prompt. A heading with all below it is one section
 * while that is comfortable; else its parts are. Small neighbours under one heading share a section, and what is too
 * long is cut. Nothing crosses a chapter border except scraps too small to stand alone.
 */
import { cutText } from './cut-text.js';
import { measureText } from './measure-text.js';
import { nodesOf, type OutlineNode } from './outline.js';
import type { Place, Section } from './section.js';

/** In words, or their weight where a script has no spaces. */
const SIZE = {
  /** Up to here one section takes a heading with all below it. */
  comfortable: 600,
  /** Up to here neighbours are put together, and scraps twice as far. */
  joined: 450,
  /** Below this a section looks for company under the same heading. */
  small: 200,
  /** Below this it does so even across chapters. */
  scrap: 60,
  /** What no section exceeds. */
  max: 1_500,
  /** What the parts of a longer one weigh about. */
  part: 1_000,
};

export function packSections(source: string, root: OutlineNode): Section[] {
  return pack(source, root).map((piece) => toSection(source, piece));
}

interface Piece {
  readonly start: number;
  readonly end: number;
  readonly weight: number;
  readonly kind: Section['kind'];
  /** Names it where nothing else does. */
  readonly first: OutlineNode;
  /** The nodes whose words it holds, outermost first. */
  readonly heads: readonly OutlineNode[];
  /** As in "part 2 of 3", where a node was cut. */
  readonly part: string | null;
}

function pack(source: string, node: OutlineNode): Piece[] {
  const whole = wholeOf(node);
  if (whole !== null) return [whole];
  const pieces = [
    ...ownPieces(source, node),
    ...node.children.flatMap((child) => pack(source, child)),
  ];
  const joined = joinSmall(pieces, node.isAboveChapters ? SIZE.scrap : SIZE.small);
  const [only] = joined;
  return joined.length === 1 && only !== undefined && only.part === null
    ? [{ ...only, heads: headsOf(node) }]
    : joined;
}

/** The node with all below it, if that makes one section. */
function wholeOf(node: OutlineNode): Piece | null {
  const nodes = [...nodesOf(node)];
  const weight = nodes.reduce((sum, each) => sum + each.weight, 0);
  if (weight > SIZE.comfortable || nodes.some((each) => each.isContents !== node.isContents))
    return null;
  const end = nodes.at(-1)?.end ?? node.end;
  const kind = kindOf(node.isContents, weight);
  return {
    start: node.start,
    end,
    weight,
    kind,
    first: node,
    heads: weight > 0 ? headsOf(node) : [],
    part: null,
  };
}

/** A node stands for all below it; the start of the document, which has no heading, leaves that to its chapters. */
function headsOf(node: OutlineNode): readonly OutlineNode[] {
  const chapters = node.place.path.length > 0 ? [] : node.children.filter(hasWords);
  return chapters.length > 0 ? chapters : [node];
}

const hasWords = (node: OutlineNode): boolean => [...nodesOf(node)].some(({ words }) => words > 0);

/** The node's own text, cut where it is too long. */
function ownPieces(source: string, node: OutlineNode): Piece[] {
  const { start, end, weight } = node;
  if (start === end) return [];
  const own = { first: node, heads: weight > 0 ? [node] : [] };
  if (weight <= SIZE.max || node.isContents) {
    return [{ ...own, start, end, weight, kind: kindOf(node.isContents, weight), part: null }];
  }
  const spans = cutText(source, node, { aimWeight: SIZE.part, maxWeight: SIZE.max });
  return spans.map((span, at) => ({
    ...own,
    ...span,
    weight: measureText(source.slice(span.start, span.end)).weight,
    kind: 'text',
    part: spans.length > 1 ? `part ${at + 1} of ${spans.length}` : null,
  }));
}

const kindOf = (isContents: boolean, weight: number): Section['kind'] =>
  isContents ? 'contents' : weight > 0 ? 'text' : 'empty';

function joinSmall(pieces: readonly Piece[], floor: number): Piece[] {
  const joined: Piece[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    if (last !== undefined && belongTogether(last, piece, floor)) {
      joined[joined.length - 1] = join(last, piece);
    } else joined.push(piece);
  }
  return joined;
}

function belongTogether(a: Piece, b: Piece, floor: number): boolean {
  if (a.kind === 'contents' || b.kind === 'contents') return a.kind === b.kind;
  if (a.kind === 'empty' || b.kind === 'empty') return true;
  if (a.part !== null || b.part !== null) return false;
  const smaller = Math.min(a.weight, b.weight);
  const limit = smaller < SIZE.scrap ? SIZE.joined * 2 : SIZE.joined;
  return smaller < floor && a.weight + b.weight <= limit;
}

function join(a: Piece, b: Piece): Piece {
  return {
    start: a.start,
    end: b.end,
    weight: a.weight + b.weight,
    kind: a.kind === 'empty' ? b.kind : a.kind,
    first: a.first,
    heads: [...a.heads, ...b.heads],
    part: a.part ?? b.part,
  };
}

function toSection(source: string, piece: Piece): Section {
  const { start, end, kind } = piece;
  return { ...nameOf(piece), start, end, words: measureText(source.slice(start, end)).words, kind };
}

/** One heading gives its own name; several give theirs together, as in `1.09–1.14`. */
function nameOf({ heads: all, first, part }: Piece): Place {
  const chapters = all.filter((node) => !node.isAboveChapters);
  const heads = chapters.length > 0 ? chapters : all;
  const below = new Set(heads.flatMap((node) => [...nodesOf(node)].slice(1)));
  const tops = heads.filter((node) => !below.has(node));
  const [head = first, ...others] = tops;
  if (others.length === 0) {
    return part === null ? head.place : { ...head.place, title: `${head.place.title} (${part})` };
  }
  const numbers = tops.flatMap(({ place }) => place.number ?? []);
  const [from, to] = [numbers[0] ?? null, numbers.at(-1) ?? null];
  return {
    number: from === null || from === to ? from : `${from}–${to}`,
    title: titlesOf(tops),
    path: sharedPath(tops.map(({ place }) => place.path)),
  };
}

const TITLES_SHOWN = 4;

function titlesOf(nodes: readonly OutlineNode[]): string {
  const titles = [...new Set(nodes.map(({ place }) => place.title))];
  const shown = titles.slice(0, TITLES_SHOWN).join('; ');
  return titles.length > TITLES_SHOWN
    ? `${shown}; and ${titles.length - TITLES_SHOWN} more`
    : shown;
}

function sharedPath(paths: readonly (readonly string[])[]): readonly string[] {
  const [first = [], ...others] = paths;
  const differsAt = first.findIndex((part, at) => others.some((path) => path[at] !== part));
  return differsAt < 0 ? first : first.slice(0, differsAt);
}
