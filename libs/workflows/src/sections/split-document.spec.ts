/** Pure; nothing stands in. Properties over tender-like disorder, examples from how tenders are really written. */
import fc from 'fast-check';
import { placeAt, splitDocument } from './split-document.js';
import type { Section } from './section.js';

const word = fc.constantFrom(
  'The',
  'contractor',
  'shall',
  'provide',
  'must',
  'hosting',
  'Überprüfung',
  '合同',
  'naïve',
  '🛰️',
  'e.g.',
  '“quoted”',
  '[link](#3.2)',
  '<br>',
  '**bold**',
  'a_b_c',
  '12.5',
  '\u00a0',
);
const words = (minLength: number, maxLength: number) =>
  fc.array(word, { minLength, maxLength }).map((list) => list.join(' '));
const number = fc
  .array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('.'));

const line = fc.oneof(
  { weight: 6, arbitrary: words(1, 30) },
  { weight: 4, arbitrary: fc.constant('') },
  fc.tuple(fc.integer({ min: 1, max: 7 }), words(0, 6)).map(([n, t]) => `${'#'.repeat(n)} ${t}`),
  fc.tuple(number, words(0, 5)).map(([n, t]) => `## <a name="${n}"></a>Sec. ${n}\t${t}`),
  fc.tuple(number, words(1, 12)).map(([n, t]) => `${n} ${t}`),
  fc.tuple(number, words(1, 12)).map(([n, t]) => `  **${n}.** ${t}`),
  fc.tuple(number, words(1, 4)).map(([n, t]) => `${n} ${t} ........ 12`),
  fc
    .tuple(
      fc.constantFrom('Section', 'Article', 'EXHIBIT', 'Appendix', 'Part'),
      number,
      words(0, 4),
    )
    .map(([w, n, t]) => `${w} ${n}. ${t}`),
  words(1, 4).map((t) => `(a) ${t}`),
  words(1, 4).map((t) => `1. *${t}*. The contractor shall`),
  words(1, 4).map((t) => `**${t}**`),
  fc.constantFrom(
    'TABLE OF CONTENTS',
    '# Contents',
    'RESERVED',
    '---',
    '===',
    '```',
    '~~~~',
    '| a | b |',
  ),
  fc.constantFrom('<a name="x"></a>', '<h2>Terms</h2>', '> quoted', '-   item', ' \t ', '\u2028'),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 10 }),
);

const lineEnd = fc.constantFrom('\n', '\n', '\r\n', '\r\n', '\r', '\n\n', '\r\n\r\n');

/** Tender-like documents in every disorder that real ones come in. */
const tenderText: fc.Arbitrary<string> = fc
  .array(fc.tuple(line, lineEnd), { maxLength: 250, size: 'max' })
  .chain((lines) =>
    fc.boolean().map((closed) => {
      const text = lines.map(([content, end]) => content + end).join('');
      return closed ? text : text.trimEnd();
    }),
  );

const textOf = (source: string, spans: readonly { start: number; end: number }[]): string =>
  spans.map(({ start, end }) => source.slice(start, end)).join('');

const prose = (words: number): string =>
  'The contractor shall do this word by word. '.repeat(words / 8);

const named = ({ number, title }: Section): string => [number ?? '-', title].join(' ');

describe('the section splitter', () => {
  it('loses no text: sections put together are the source, character for character', () => {
    fc.assert(
      fc.property(tenderText, (source) => {
        expect(textOf(source, splitDocument(source).sections)).toBe(source);
      }),
      { numRuns: 400 },
    );
  });

  it('gives sections and outline in order, without gaps, overlaps or empty spans', () => {
    fc.assert(
      fc.property(tenderText, (source) => {
        const { sections, outline } = splitDocument(source);
        for (const spans of [sections, outline]) {
          expect(textOf(source, spans)).toBe(source);
          let end = 0;
          for (const span of spans) {
            expect(span.start).toBe(end);
            expect(span.end).toBeGreaterThan(span.start);
            end = span.end;
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('gives the same sections for the same text, and the same titles whatever the line ends', () => {
    const plain = tenderText.map((text) => text.replace(/\r\n?/g, '\n'));
    fc.assert(
      fc.property(plain, (source) => {
        const names = (text: string) => splitDocument(text).sections.map(named);
        expect(splitDocument(source)).toEqual(splitDocument(source));
        expect(names(source.replace(/\n/g, '\r\n'))).toEqual(names(source));
      }),
      { numRuns: 150 },
    );
  });

  it('cuts no character in half and makes no section too long, even of one endless line', () => {
    const endless = fc.tuple(
      fc.constantFrom('word ', '合', '🛰️', 'x', 'A sentence. '),
      fc.integer({ min: 1, max: 40_000 }),
    );
    fc.assert(
      fc.property(endless, fc.nat({ max: 2 }), ([unit, times], shift) => {
        const source = 'x'.repeat(shift) + unit.repeat(times);
        const { sections } = splitDocument(source);
        expect(textOf(source, sections)).toBe(source);
        for (const { start, end, words } of sections) {
          expect(words).toBeLessThanOrEqual(1_500);
          expect(end - start).toBeLessThanOrEqual(15_001);
          expect(source.slice(start, end).isWellFormed()).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('finds the place of every offset in the outline', () => {
    fc.assert(
      fc.property(tenderText, fc.nat(), (source, seed) => {
        fc.pre(source !== '');
        const { outline } = splitDocument(source);
        const offset = seed % source.length;
        const holder = outline.find(({ start, end }) => start <= offset && offset < end);
        expect(placeAt(outline, offset)).toBe(holder);
      }),
    );
  });

  it('makes no section of an empty document', () => {
    expect(splitDocument('')).toEqual({ outline: [], sections: [], words: 0 });
  });

  it('keeps a short document in one piece, named after its title', () => {
    const { sections } = splitDocument(
      '# Supply of Chairs\r\n\r\n## 1 Scope\r\n\r\nChairs must be stackable.\r\n',
    );
    expect(sections.map(named)).toEqual(['- Supply of Chairs']);
  });

  it('gives each heading of some size its own section, with number, title and path', () => {
    const source = [
      '# Supply of Ferries',
      '## 1. General',
      `### 1.1 Purpose\n\n${prose(300)}`,
      `### 1.2 <a name="x"></a>Eligible **bidders**\n\n${prose(400)}`,
      `## 2. Vessels\n\n${prose(320)}`,
    ].join('\n\n');
    expect(
      splitDocument(source).sections.map(({ number, title, path }) => ({ number, title, path })),
    ).toEqual([
      { number: '1.1', title: 'Purpose', path: ['1 General', '1.1 Purpose'] },
      { number: '1.2', title: 'Eligible bidders', path: ['1 General', '1.2 Eligible bidders'] },
      { number: '2', title: 'Vessels', path: ['2 Vessels'] },
    ]);
  });

  it('puts tiny neighbours together under both their names, and never across chapters', () => {
    const source = [
      `## 1 Terms\n\n### 1.1 Insurance\n\n${prose(120)}`,
      `### 1.2 Tax\n\n${prose(80)}`,
      `### 1.3 Liability\n\n${prose(480)}`,
      `## 2 Submission\n\n${prose(120)}`,
    ].join('\n\n');
    expect(splitDocument(source).sections.map(named)).toEqual([
      '1.1–1.2 Insurance; Tax',
      '1.3 Liability',
      '2 Submission',
    ]);
  });

  it('cuts a long section between paragraphs, and keeps the line that opens a list with its list', () => {
    const paragraph = `${prose(240)}\r\n\r\n`;
    const source = `## 4 Service\r\n\r\n${paragraph.repeat(4)}The contractor shall:\r\n\r\n- ${paragraph.repeat(5)}`;
    const { sections } = splitDocument(source);
    expect(sections.map(({ title }) => title)).toEqual([
      'Service (part 1 of 2)',
      'Service (part 2 of 2)',
    ]);
    expect(sections.every(({ words }) => words > 700 && words <= 1_500)).toBe(true);
    const cut = sections[1]?.start ?? 0;
    expect(source.slice(0, cut)).toMatch(/\r\n\r\n$/);
    expect(source.slice(0, cut).trimEnd()).not.toMatch(/:$/);
  });

  it('spends no call on a table of contents, a bare heading or a reserved clause', () => {
    const contents = '- [1 Scope](#1)\n- [2 Terms](#2)\n- [3 Vessels](#3)\n';
    const source = [
      `# Tender\n\n## Table of Contents\n\n${contents}`,
      `## 1 Scope\n\nRESERVED`,
      `## 2 Terms\n\n${prose(160)}`,
      '## 3 Vessels',
    ].join('\n\n');
    const { sections } = splitDocument(source);
    const read = sections.filter(({ kind }) => kind === 'text');
    expect(read.map(named)).toEqual(['2 Terms']);
    expect(sections.filter(({ kind }) => kind === 'contents').map(({ title }) => title)).toEqual([
      'Table of Contents',
    ]);
  });

  it('does not take a chapter for contents because it stands under a heading that says so', () => {
    const source = `# Contents\n\n## 1 Scope\n\nThe contractor shall deliver. ${prose(160)}`;
    expect(splitDocument(source).sections.some(({ kind }) => kind === 'text')).toBe(true);
  });

  it('splits plain text by its numbered lines', () => {
    const source = [
      'PART I - GENERAL',
      '1. INTRODUCTION',
      prose(320),
      '2. SERVICES',
      `2.1 Location\n\n${prose(320)}`,
      `2.2 Volumes\n${prose(320)}`,
      `Section 3. Payment\n\n${prose(320)}`,
    ].join('\r\n\r\n');
    expect(splitDocument(source).sections.map(named)).toEqual([
      '1 INTRODUCTION',
      '2.1 Location',
      '2.2 Volumes',
      '3 Payment',
    ]);
  });
});
