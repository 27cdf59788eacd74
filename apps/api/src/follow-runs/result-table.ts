/** Results that are a table at heart, and how a person wants to read it in a spreadsheet. */
import type { MatrixRow, TenderComplianceResult } from '#libs/workflows';
import { toCsv } from './csv.js';

export interface ResultTable {
  /** The table as CSV, of a result that fits the workflow's contract. */
  csvOf(result: unknown): string;
  /** Name to save it under. */
  fileNameOf(result: unknown): string;
}

/** undefined: the result of this workflow has no table in it. */
export function resultTableOf(workflow: string, version: number): ResultTable | undefined {
  return tables.get(`${workflow} v${version}`);
}

const columns: readonly (readonly [title: string, cell: (row: MatrixRow) => string])[] = [
  ['number', (row) => row.number],
  ['section', ({ section }) => [section.number ?? [], section.title].flat().join(' ')],
  ['requirement', (row) => row.text],
  ['obligation', (row) => row.obligation],
  ['category', (row) => row.category],
  ['quote', (row) => row.quote],
  ['verified', (row) => (row.quoteVerified ? 'yes' : 'no')],
  ['confidence', (row) => row.confidence],
];

const complianceMatrix: ResultTable = {
  csvOf(result) {
    const { requirements } = result as TenderComplianceResult;
    const header = columns.map(([title]) => title);
    return toCsv(
      header,
      requirements.map((row) => columns.map(([, cell]) => cell(row))),
    );
  },
  fileNameOf(result) {
    const { document } = result as TenderComplianceResult;
    const name = document.fileName?.replace(/\.[a-z0-9]{1,8}$/i, '') ?? document.id;
    return `${name} compliance matrix.csv`;
  },
};

const tables: ReadonlyMap<string, ResultTable> = new Map([
  ['tender-compliance v1', complianceMatrix],
]);
