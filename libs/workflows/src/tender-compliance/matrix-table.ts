/** The compliance matrix as a table: what a bid manager sorts and filters by. */
import { resultTable } from '../result-table.js';
import type { MatrixRow, TenderComplianceResult } from './result-contract.js';

export const matrixTable = resultTable<TenderComplianceResult, MatrixRow>({
  columns: [
    ['number', (row) => row.number],
    ['section', ({ section }) => [section.number ?? [], section.title].flat().join(' ')],
    ['requirement', (row) => row.text],
    ['obligation', (row) => row.obligation],
    ['category', (row) => row.category],
    ['quote', (row) => row.quote],
    ['verified', (row) => (row.quoteVerified ? 'yes' : 'no')],
    ['confidence', (row) => row.confidence],
  ],
  rows: ({ requirements }) => requirements,
  title: ({ document }) =>
    `${document.fileName?.replace(/\.[a-z0-9]{1,8}$/i, '') ?? document.id} compliance matrix`,
});
