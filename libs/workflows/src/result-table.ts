/** A result that is a table at heart, and how a person wants to read it in a spreadsheet: the api offers it as CSV. */
export interface ResultTable {
  readonly columns: readonly string[];
  /** One cell per column, for a result that meets the workflow's output contract. */
  rowsOf(result: unknown): readonly (readonly string[])[];
  /** What to save it as, without an ending. */
  titleOf(result: unknown): string;
}

export function resultTable<Result, Row>(table: {
  readonly columns: readonly (readonly [title: string, cell: (row: Row) => string])[];
  rows(result: Result): readonly Row[];
  title(result: Result): string;
}): ResultTable {
  // The edge where stored JSON becomes a type again: only what met the output contract was stored.
  return {
    columns: table.columns.map(([title]) => title),
    rowsOf: (result) =>
      table.rows(result as Result).map((row) => table.columns.map(([, cell]) => cell(row))),
    titleOf: (result) => table.title(result as Result),
  };
}
