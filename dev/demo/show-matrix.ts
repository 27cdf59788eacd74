/** The head of a compliance matrix as a small table. */
import type { TenderComplianceResult } from '#libs/workflows';
import { table } from './terminal.js';

const headRows = 8;

export function matrixTitle(result: TenderComplianceResult): string {
  const { summary, document } = result;
  const obligations = Object.entries(summary.byObligation)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`);
  const flagged =
    summary.flagged === 0
      ? 'every quote stands in the document'
      : `${summary.flagged} flagged: quote not found in the document`;
  return `${summary.requirements} requirements (${obligations.join(', ')}) from ${document.sections} sections, ${document.words} words; ${flagged}`;
}

export function matrixHead(
  result: TenderComplianceResult,
  width: number,
  rows = headRows,
): string[] {
  const shown = result.requirements.slice(0, rows);
  const left = result.requirements.length - shown.length;
  const header = ['No.', 'Binding', 'Category', 'Section', 'Requirement'];
  const cells = shown.map((row) => [
    row.number,
    row.obligation,
    row.category,
    row.section.number ?? row.section.title.slice(0, 20),
    `${row.quoteVerified ? '' : '[flagged] '}${row.text.replace(/\s+/g, ' ')}`,
  ]);
  const lines = table([header, ...cells], width);
  return left > 0 ? [...lines, `… and ${left} more`] : lines;
}
