/**
 * Makes one matrix of what the sections gave: verifies every quote, merges repetitions, numbers in the order of
 * the source. A quote that does not stand in the source is flagged and counted: never kept in silence, never dropped.
 */
import { placeAt } from '../sections/split-document.js';
import type { Place, Section, SplitDocument } from '../sections/section.js';
import type { WorkflowDocument } from '../workflow.js';
import type { ExtractedRequirement, SectionExtraction } from './extract-requirements.js';
import { FoldedText } from './folded-text.js';
import { mergeDuplicates, type Merged } from './merge-duplicates.js';
import { CATEGORIES, classifyObligation, OBLIGATIONS } from './requirement.js';
import type { MatrixRow, TenderComplianceResult } from './result-contract.js';

export class SectionExtractionMissingError extends Error {
  readonly code = 'section_extraction_missing';
  readonly terminal = true;

  constructor(sections: number, extractions: number) {
    super(
      `There are ${sections} sections but ${extractions} extractions: give one for each, in order.`,
    );
    this.name = 'SectionExtractionMissingError';
  }
}

/** `extractions` in the order of `sections`, which are those that were read. */
export function mergeRequirements(
  document: WorkflowDocument,
  split: SplitDocument,
  sections: readonly Section[],
  extractions: readonly SectionExtraction[],
): TenderComplianceResult {
  if (sections.length !== extractions.length) {
    throw new SectionExtractionMissingError(sections.length, extractions.length);
  }
  const found = findRequirements(new FoldedText(document.text), split, sections, extractions);
  const merged = mergeDuplicates(found);
  const requirements = merged.map(toRow);
  const flagged = requirements.filter((row) => !row.quoteVerified).length;
  const refusals = sections.flatMap((section, at) => {
    const extraction = extractions[at];
    return extraction?.kind === 'refused'
      ? [{ section: placeOf(section), message: extraction.message }]
      : [];
  });
  return {
    document: {
      id: document.id,
      fileName: document.fileName,
      sections: sections.length,
      words: split.words,
    },
    requirements,
    flagged,
    refusals,
    summary: {
      requirements: requirements.length,
      byObligation: countBy(OBLIGATIONS, requirements, (row) => row.obligation),
      byCategory: countBy(CATEGORIES, requirements, (row) => row.category),
      flagged,
      duplicatesMerged: found.length - merged.length,
      sectionsRefused: refusals.length,
    },
  };
}

interface FoundRequirement {
  readonly said: ExtractedRequirement;
  readonly text: string;
  readonly quote: string;
  readonly section: number;
  readonly place: Place;
  readonly sourceOffset: number | null;
  /** Orders the matrix: where it stands, or else the end of the section that it came from. */
  readonly anchor: number;
}

/** In the order of the source, whatever order the model gave. */
function findRequirements(
  source: FoldedText,
  split: SplitDocument,
  sections: readonly Section[],
  extractions: readonly SectionExtraction[],
): FoundRequirement[] {
  const found = sections.flatMap((section, at) => {
    const extraction = extractions[at];
    if (extraction?.kind !== 'extracted') return [];
    return extraction.requirements.map((said): FoundRequirement => {
      const sourceOffset = source.find(said.quote, section);
      return {
        said,
        text: said.requirement,
        quote: said.quote,
        section: at,
        place: placeOf(
          sourceOffset === null ? section : (placeAt(split.outline, sourceOffset) ?? section),
        ),
        sourceOffset,
        anchor: sourceOffset ?? section.end - 1,
      };
    });
  });
  return found.sort(
    (a, b) =>
      a.anchor - b.anchor ||
      a.section - b.section ||
      compareText(a.quote, b.quote) ||
      compareText(a.text, b.text),
  );
}

function toRow({ kept, repeats }: Merged<FoundRequirement>, at: number): MatrixRow {
  return {
    number: `R-${String(at + 1).padStart(3, '0')}`,
    text: kept.text,
    obligation: classifyObligation(kept.quote, kept.said.obligation),
    category: kept.said.category,
    section: kept.place,
    alsoIn: otherPlaces(kept, repeats),
    quote: kept.quote,
    quoteVerified: kept.sourceOffset !== null,
    sourceOffset: kept.sourceOffset,
    confidence: kept.said.confidence,
  };
}

/** Each place once, its own left out. */
function otherPlaces(kept: FoundRequirement, repeats: readonly FoundRequirement[]): Place[] {
  const keyOf = (place: Place): string => JSON.stringify(place);
  const byKey = new Map(repeats.map(({ place }) => [keyOf(place), place]));
  byKey.delete(keyOf(kept.place));
  return [...byKey.values()];
}

const placeOf = ({ number, title, path }: Place): Place => ({ number, title, path });

/** By code units, so that it is the same on every machine. */
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function countBy<Name extends string>(
  names: readonly Name[],
  rows: readonly MatrixRow[],
  nameOf: (row: MatrixRow) => Name,
): Record<Name, number> {
  // `fromEntries` forgets the key type; every name is there.
  return Object.fromEntries(
    names.map((name) => [name, rows.filter((row) => nameOf(row) === name).length]),
  ) as Record<Name, number>;
}
