/** Merges what the sections gave into one matrix. */
import type { SplitDocument } from '../sections/section.js';
import type { WorkflowDocument } from '../workflow.js';
import type { SectionExtraction } from './extract-requirements.js';
import { CATEGORIES, OBLIGATIONS } from './requirement.js';
import type { MatrixRow, TenderComplianceResult } from './result-contract.js';

export function mergeRequirements(
  document: WorkflowDocument,
  split: SplitDocument,
  extractions: readonly SectionExtraction[],
): TenderComplianceResult {
  const sections = split.sections.filter((section) => section.kind === 'text');
  const rows = sections.flatMap((section, at): MatrixRow[] => {
    const extraction = extractions[at];
    if (extraction?.kind !== 'extracted') return [];
    return extraction.requirements.map((found) => {
      const offset = document.text.indexOf(found.quote);
      return {
        number: '',
        text: found.requirement,
        obligation: found.obligation,
        category: found.category,
        section: { number: section.number, title: section.title, path: section.path },
        quote: found.quote,
        quoteVerified: offset >= 0,
        sourceOffset: offset >= 0 ? offset : null,
        confidence: found.confidence,
      };
    });
  });
  const flagged = rows.filter((row) => !row.quoteVerified).length;
  return {
    document: {
      id: document.id,
      fileName: document.fileName,
      sections: sections.length,
      words: split.words,
    },
    requirements: rows.map((row, at) => ({
      ...row,
      number: `R-${String(at + 1).padStart(3, '0')}`,
    })),
    flagged,
    refusals: [],
    summary: {
      requirements: rows.length,
      byObligation: countBy(OBLIGATIONS, rows, (row) => row.obligation),
      byCategory: countBy(CATEGORIES, rows, (row) => row.category),
      flagged,
      duplicatesMerged: 0,
      sectionsRefused: 0,
    },
  };
}

function countBy<Name extends string>(
  names: readonly Name[],
  rows: readonly MatrixRow[],
  nameOf: (row: MatrixRow) => Name,
): Record<Name, number> {
  return Object.fromEntries(
    names.map((name) => [name, rows.filter((row) => nameOf(row) === name).length]),
  ) as Record<Name, number>;
}
