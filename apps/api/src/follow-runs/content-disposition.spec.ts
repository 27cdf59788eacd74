import fc from 'fast-check';
import { savedAs } from './content-disposition.js';

it.each([
  ['tender.csv', 'attachment; filename="tender.csv"; filename*=UTF-8\'\'tender.csv'],
  [
    'Angebot für Öl.csv',
    `attachment; filename="Angebot fur Ol.csv"; filename*=UTF-8''Angebot%20f%C3%BCr%20%C3%96l.csv`,
  ],
  ['入札.csv', `attachment; filename="__.csv"; filename*=UTF-8''%E5%85%A5%E6%9C%AD.csv`],
  [
    '../a"b\r\nX: y.csv',
    `attachment; filename=".._a_b__X_ y.csv"; filename*=UTF-8''.._a_b__X_%20y.csv`,
  ],
  [
    "it's (50%).csv",
    `attachment; filename="it's (50_).csv"; filename*=UTF-8''it%27s%20%2850%25%29.csv`,
  ],
])('%j is saved by %s', (name, header) => expect(savedAs(name)).toBe(header));

it('is a header whatever the name, with one name in it that no path can hide in', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (stem) => {
      const header = savedAs(`${stem}.csv`);
      expect(header).toMatch(
        /^attachment; filename="[^"\\/%\p{Cc}]*\.csv"; filename\*=UTF-8''[A-Za-z0-9%!~._-]*\.csv$/u,
      );
      expect(header.length).toBeLessThan(2_200);
    }),
  );
});
