/**
 * Makes a tree of a document's headings. Every node has a text of its own, from its heading to the next one;
 * own texts in the order of `nodesOf` are the source.
 */
import { isContentsList, isContentsTitle, readsLikeContents } from './contents-list.js';
import type { Heading } from './heading.js';
import { isPlaceholder, measureText } from './measure-text.js';
import type { Place, Span } from './section.js';

export interface OutlineNode extends Span {
  readonly place: Place;
  readonly children: readonly OutlineNode[];
  /** Of the node's own text, heading excluded; 0 where it says only that it says nothing. */
  readonly words: number;
  readonly weight: number;
  readonly isContents: boolean;
  /** Stands above all chapters: the start of the document, or its title. */
  readonly isAboveChapters: boolean;
}

export function buildOutline(source: string, headings: readonly Heading[]): OutlineNode {
  const title = documentTitle(headings);
  const untitled = headings.length === 0 ? 'Whole document' : 'Preamble';
  const preamble = { start: 0, bodyStart: 0, level: 0, number: null, title: untitled };
  const all: readonly Heading[] = [preamble, ...headings];
  const open: Building[] = [];
  for (const [at, heading] of all.entries()) {
    while (open.length > 1 && (open.at(-1)?.level ?? 0) >= heading.level) open.pop();
    const parent = open.at(-1);
    const above = parent === undefined || parent.heading === title ? NOWHERE : parent.place;
    const end = all[at + 1]?.start ?? source.length;
    const aboveChapters = heading === preamble || heading === title;
    const node = toNode(source, heading, end, above, parent, aboveChapters);
    parent?.children.push(node);
    open.push(node);
  }
  return open[0] ?? toNode(source, preamble, source.length, NOWHERE, undefined, true);
}

/** All nodes in the order of the source. */
export function* nodesOf(node: OutlineNode): Generator<OutlineNode> {
  yield node;
  for (const child of node.children) yield* nodesOf(child);
}

interface Building extends OutlineNode {
  readonly heading: Heading;
  readonly level: number;
  readonly children: Building[];
}

const NOWHERE: Place = { number: null, title: '', path: [] };

/** A single outermost heading is the document's title: it would stand in every path and tell nothing. */
function documentTitle(headings: readonly Heading[]): Heading | undefined {
  const [first, ...others] = headings;
  if (first === undefined || first.number !== null) return undefined;
  return others.every((other) => other.level > first.level) ? first : undefined;
}

function toNode(
  source: string,
  heading: Heading,
  end: number,
  above: Place,
  parent: Building | undefined,
  isAboveChapters: boolean,
): Building {
  const body = source.slice(heading.bodyStart, end);
  const listed =
    (parent?.isContents ?? false) || isContentsTitle(heading.title)
      ? readsLikeContents(body)
      : isContentsList(body);
  const { words, weight } = isPlaceholder(body) ? { words: 0, weight: 0 } : measureText(body);
  return {
    heading,
    level: heading.level,
    start: heading.start,
    end,
    place: placeOf(heading, above),
    children: [],
    words,
    weight,
    isContents: listed,
    isAboveChapters,
  };
}

/** `(a)` under `1.08` is cited as `1.08(a)`; what has no number is found under the nearest one above. */
function placeOf({ number, title, level }: Heading, above: Place): Place {
  if (level === 0) return { number: null, title, path: [] };
  const bracketed = number?.startsWith('(') ?? false;
  return {
    number: bracketed ? `${above.number ?? ''}${number ?? ''}` : (number ?? above.number),
    title: title === '' ? above.title : title,
    path: [...above.path, label(number, title)],
  };
}

export const label = (number: string | null, title: string): string =>
  [number ?? '', title.startsWith(number ?? '\0') ? title.slice(number?.length) : title]
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .join(' ');
