import fc from 'fast-check';
import { toCsv } from './csv.js';

/** Reads RFC 4180, and nothing that is not. */
function parseCsv(text: string): string[][] {
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy;
  const rows: string[][] = [];
  let row: string[] = [];
  while (field.lastIndex < text.length) {
    const at = field.lastIndex;
    const found = field.exec(text);
    if (!found)
      throw new Error(`not RFC 4180 at ${at}: ${JSON.stringify(text.slice(at, at + 20))}`);
    row.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? '');
    if (found[3] === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

const awkward = fc
  .array(fc.constantFrom('=', '+', '-', '@', '\t', '\r', '\n', '"', ',', "'", 'ä', '😀', ' '))
  .map((characters) => characters.join(''));
const cell = fc.oneof(awkward, fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
const table = fc
  .integer({ min: 1, max: 8 })
  .chain((width) =>
    fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1 }),
  );

describe('a table as CSV', () => {
  it('is read back cell by cell, the apostrophe before formulas apart', () => {
    fc.assert(
      fc.property(table, ([header = [], ...rows]) => {
        const read = parseCsv(toCsv(header, rows));
        const written = [header, ...rows].map((cells) =>
          cells.map((text) => text.replaceAll('\u0000', '\ufffd').toWellFormed()),
        );
        const isFormula = (text: string) => '=+-@\t\r'.includes(text.charAt(0)) && text !== '';
        const guarded = written.map((cells) =>
          cells.map((text) => (isFormula(text) ? `'${text}` : text)),
        );
        expect(read).toEqual(guarded);
      }),
    );
  });

  it('holds no cell that a spreadsheet would run', () => {
    fc.assert(
      fc.property(table, ([header = [], ...rows]) => {
        for (const text of parseCsv(toCsv(header, rows)).flat())
          expect(text).not.toMatch(/^[=+\-@\t\r]/);
      }),
    );
  });

  it('looks as RFC 4180 shows it', () => {
    const rows = [
      ['1', 'aa"bb', 'c,d'],
      ['', 'two\nlines', '=HYPERLINK("http://x")'],
    ];
    expect(toCsv(['a', 'b', 'c'], rows)).toBe(
      'a,b,c\r\n1,"aa""bb","c,d"\r\n,"two\nlines","\'=HYPERLINK(""http://x"")"\r\n',
    );
  });
});
