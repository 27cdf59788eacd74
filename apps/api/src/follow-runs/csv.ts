/**
 * Writes a table as CSV (RFC 4180) for people who open it in a spreadsheet.
 *
 * (C1) Lines end in CRLF; a cell with a quote, a comma or a line break is quoted, its quotes doubled.
 * (C2) The text in a table comes from documents and models: a cell that a spreadsheet would run as a formula gets an apostrophe
 *      before it, which spreadsheets show as plain text (OWASP, "CSV Injection").
 * (C3) What UTF-8 or a reader of CSV cannot hold (half a surrogate pair, U+0000) becomes U+FFFD.
 */
export function toCsv(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [header, ...rows].map((cells) => `${cells.map(cellOf).join()}\r\n`).join('');
}

function cellOf(text: string): string {
  const cell = guarded(text.replaceAll('\u0000', '\ufffd').toWellFormed()); // (C3)
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell; // (C1)
}

function guarded(cell: string): string {
  return /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell; // (C2)
}
