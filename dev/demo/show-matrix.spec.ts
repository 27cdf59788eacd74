import type { MatrixRow, TenderComplianceResult } from '#libs/workflows';
import { matrixHead, matrixTitle } from './show-matrix.js';

const row = (number: string, change: Partial<MatrixRow> = {}): MatrixRow => ({
  number,
  text: `The contractor shall\nkeep ${number}`,
  obligation: 'shall',
  category: 'technical',
  section: { number: '3.1', title: 'Works', path: [] },
  alsoIn: [],
  quote: '',
  quoteVerified: true,
  sourceOffset: 0,
  confidence: 'high',
  ...change,
});

const result = (rows: MatrixRow[]): TenderComplianceResult => ({
  document: { id: 'doc_1', fileName: 'a.md', sections: 3, words: 900 },
  requirements: rows,
  flagged: 1,
  refusals: [],
  summary: {
    requirements: rows.length,
    byObligation: { shall: 2, must: 0, should: 1 },
    byCategory: {} as TenderComplianceResult['summary']['byCategory'],
    flagged: 1,
    duplicatesMerged: 0,
    sectionsRefused: 0,
  },
});

describe('the head of a matrix', () => {
  const rows = [row('R-001'), row('R-002', { quoteVerified: false }), row('R-003')];

  it('shows the first rows, one line each, flags what is not found in the document, counts the rest', () => {
    expect(matrixHead(result(rows), 90, 2)).toEqual([
      'No.    Binding  Category   Section  Requirement',
      'R-001  shall    technical  3.1      The contractor shall keep R-001',
      'R-002  shall    technical  3.1      [flagged] The contractor shall keep R-002',
      '… and 1 more',
    ]);
  });

  it('says in one line how much there is', () => {
    expect(matrixTitle(result(rows))).toBe(
      '3 requirements (2 shall, 1 should) from 3 sections, 900 words; 1 flagged: quote not found in the document',
    );
  });
});
