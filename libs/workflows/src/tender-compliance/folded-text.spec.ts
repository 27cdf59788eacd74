/** Pure; nothing stands in. */
import fc from 'fast-check';
import { foldSpace, FoldedText } from './folded-text.js';

const token = fc.constantFrom(
  'shall',
  'must',
  'The',
  'supplier',
  '“quoted”',
  '合同',
  '🛰️',
  'e.g.',
  'don’t',
  '—',
);
const space = fc.constantFrom(
  ' ',
  '\n',
  '\r\n',
  '\t',
  '\u00a0',
  '\r\n\r\n',
  '  ',
  ' \u00a0\n ',
  '\u2009',
);
const spaced = fc.array(fc.tuple(token, space), { minLength: 1, maxLength: 60 });

const nowhere = { start: 0, end: 0 };

describe('looking up quotes', () => {
  it('finds every stretch of the source under any other spacing, at an offset where it stands', () => {
    fc.assert(
      fc.property(
        spaced,
        fc.nat(),
        fc.nat(),
        fc.array(space, { minLength: 61, maxLength: 61 }),
        (text, a, b, gaps) => {
          const source = text.map(([word, gap]) => word + gap).join('');
          const from = a % text.length;
          const to = from + 1 + (b % (text.length - from));
          const quote = text
            .slice(from, to)
            .map(([word], at) => word + (gaps[at] ?? ' '))
            .join('');
          const offset = new FoldedText(source).find(quote, nowhere);
          expect(offset).not.toBeNull();
          expect(foldSpace(source.slice(offset ?? 0)).startsWith(foldSpace(quote))).toBe(true);
          expect(source.slice(offset ?? 0)).toMatch(/^\S/);
        },
      ),
    );
  });

  it('agrees with a plain search in the folded source', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ maxLength: 3 }), (source, quote) => {
        const folded = source.replace(/\s+/g, ' ');
        const wanted = foldSpace(quote);
        const offset = new FoldedText(source).find(quote, nowhere);
        expect(offset !== null).toBe(wanted !== '' && folded.includes(wanted));
      }),
    );
  });

  it.each([
    ['another case', 'the supplier shall deliver.'],
    ['a straight quote for a curly one', "The supplier's staff"],
    ['a hyphen for a dash', 'on time - always'],
    ['a word left out', 'The supplier deliver.'],
    ['mark-up left out', 'within two days'],
    ['a space inside a word', 'The sup plier'],
    ['no space between words', 'Thesupplier'],
    ['nothing', ' \r\n '],
  ])('does not forgive %s', (_what, quote) => {
    const source =
      'The supplier shall deliver. The supplier’s staff is on time — always, within **two** days.';
    expect(new FoldedText(source).find(quote, nowhere)).toBeNull();
  });

  it('finds a repeated sentence in the section that it was read in', () => {
    const sentence = 'The supplier\r\n shall   keep records.';
    const source = `${sentence}\r\n\r\nOther text.\r\n\r\n${sentence}\r\n`;
    const second = source.lastIndexOf('The supplier');
    const folded = new FoldedText(source);
    const quote = 'The supplier shall keep records.';
    expect(folded.find(quote, { start: second - 4, end: source.length })).toBe(second);
    expect(folded.find(quote, { start: 0, end: second })).toBe(0);
    expect(folded.find(quote, { start: source.length, end: source.length })).toBe(0);
  });

  it('sends a search from inside white space neither back nor past what follows', () => {
    fc.assert(
      fc.property(spaced, fc.nat(), (text, seed) => {
        const source = text.map(([word, gap]) => word + gap).join('');
        const start = seed % source.length;
        const [first = ''] = source.slice(start).trim().split(/\s+/);
        fc.pre(
          first !== '' &&
            (start === 0 || /\s/.test(source.charAt(start - 1)) || /\s/.test(source.charAt(start))),
        );
        const expected = start + source.slice(start).search(/\S/);
        expect(new FoldedText(source).find(first, { start, end: source.length })).toBe(expected);
      }),
    );
  });
});
