/** Pure. Real: splitting, verification, merging, the result's contract. What the model answers is made up here. */
import fc from 'fast-check';
import { checkSchema } from '../schema/check-schema.js';
import { splitDocument } from '../sections/split-document.js';
import type { WorkflowDocument } from '../workflow.js';
import type { ExtractedRequirement, SectionExtraction } from './extract-requirements.js';
import { mergeRequirements, SectionExtractionMissingError } from './merge-requirements.js';
import { tenderComplianceResult, type TenderComplianceResult } from './result-contract.js';

const filler = 'Background that binds nobody at all, told at length. '.repeat(30);
const sentences = [
  'The supplier shall host the portal\r\nin two data centres.',
  'The supplier must encrypt backups.',
  'Bidders should name a\u00a0deputy.',
  'The supplier shall answer calls within 30 seconds.',
];
const text = sentences
  .map(
    (sentence, at) => `## ${at + 1} Chapter ${at + 1}\r\n\r\n${filler}\r\n\r\n${sentence}\r\n\r\n`,
  )
  .join('');
const tender: WorkflowDocument = {
  id: 'doc_1',
  fileName: 'tender.md',
  mediaType: 'text/markdown',
  text,
};
const split = splitDocument(text);

const said = (quote: string, more: Partial<ExtractedRequirement> = {}): ExtractedRequirement => ({
  quote,
  requirement: `Restated: ${quote}`,
  obligation: 'shall',
  category: 'technical',
  confidence: 'high',
  ...more,
});

const merge = (
  ...perSection: (ExtractedRequirement[] | SectionExtraction)[]
): TenderComplianceResult =>
  mergeRequirements(
    tender,
    split,
    split.sections,
    split.sections.map((_section, at): SectionExtraction => {
      const given = perSection[at] ?? [];
      return 'kind' in given ? given : { kind: 'extracted', requirements: given };
    }),
  );

describe('the compliance matrix', () => {
  it('has one section per chapter here, so that the examples below mean what they say', () => {
    expect(split.sections.map(({ number }) => number)).toEqual(['1', '2', '3', '4']);
  });

  it('verifies a quote over line ends and no-break spaces, and says where it stands', () => {
    const result = merge(
      [said('The supplier shall host the portal in two data centres.')],
      [],
      [said('Bidders should name a deputy.', { obligation: 'should' })],
    );
    expect(
      result.requirements.map((row) => [row.quoteVerified, row.sourceOffset, row.section.title]),
    ).toEqual([
      [true, text.indexOf('The supplier shall host'), 'Chapter 1'],
      [true, text.indexOf('Bidders should'), 'Chapter 3'],
    ]);
  });

  it('flags and counts a quote that does not stand in the source, and keeps it', () => {
    const result = merge(
      [],
      [said('The supplier shall encrypt backups.'), said('The supplier must encrypt backups.')],
    );
    expect(result.requirements).toHaveLength(2);
    expect(result.requirements.find((row) => !row.quoteVerified)).toMatchObject({
      quote: 'The supplier shall encrypt backups.',
      sourceOffset: null,
      section: { number: '2', title: 'Chapter 2' },
    });
    expect([result.flagged, result.summary.flagged]).toEqual([1, 1]);
  });

  it('places a requirement where its quote stands, not where the model was reading', () => {
    const result = merge([said('The supplier must encrypt backups.')]);
    expect(result.requirements[0]?.section.number).toBe('2');
  });

  it('takes the obligation from the quote where the quote says it', () => {
    const result = merge(
      [],
      [said('The supplier must encrypt backups.', { obligation: 'should' })],
    );
    expect(result.requirements[0]?.obligation).toBe('must');
    expect(result.summary.byObligation).toEqual({ shall: 0, must: 1, should: 0 });
  });

  it('merges a repetition and says where else it stands', () => {
    const result = merge(
      [
        said('The supplier shall host the portal in two data centres.', {
          requirement: 'Host twice.',
        }),
      ],
      [said('The supplier must encrypt backups.', { requirement: 'host  twice' })],
    );
    expect(result.requirements.map((row) => row.alsoIn.map((place) => place.number))).toEqual([
      ['2'],
    ]);
    expect(result.summary).toMatchObject({ requirements: 1, duplicatesMerged: 1 });
  });

  it('reports a section that the model refused to read', () => {
    const result = merge([], { kind: 'refused', message: 'I cannot help with that.' });
    expect(result.refusals).toEqual([
      {
        section: { number: '2', title: 'Chapter 2', path: ['2 Chapter 2'] },
        message: 'I cannot help with that.',
      },
    ]);
    expect(result.summary.sectionsRefused).toBe(1);
  });

  it('refuses to guess which section an extraction belongs to', () => {
    expect(() => mergeRequirements(tender, split, split.sections, [])).toThrow(
      SectionExtractionMissingError,
    );
  });

  const finds = fc.array(
    fc.record({
      quote: fc.constantFrom(...sentences, 'Nowhere to be found, this shall be flagged.', ''),
      requirement: fc.constantFrom(
        'Host.',
        'Encrypt.',
        'Name a deputy.',
        'Answer.',
        'Something else.',
      ),
      obligation: fc.constantFrom('shall', 'must', 'should'),
      category: fc.constantFrom('technical', 'security', 'other'),
      confidence: fc.constantFrom('low', 'medium', 'high'),
    } as const),
    { maxLength: 8 },
  );
  const answers = fc.tuple(finds, finds, finds, finds);

  it('meets its contract, counts what it holds and numbers without gaps, whatever the model says', () => {
    fc.assert(
      fc.property(answers, (given) => {
        const result = merge(...given);
        expect(checkSchema(tenderComplianceResult.schema, result)).toEqual([]);
        const { requirements, summary } = result;
        expect(requirements.map((row) => row.number)).toEqual(
          requirements.map((_row, at) => `R-${String(at + 1).padStart(3, '0')}`),
        );
        expect(summary.requirements + summary.duplicatesMerged).toBe(given.flat().length);
        const sum = (counts: Readonly<Record<string, number>>) =>
          Object.values(counts).reduce((total, count) => total + count, 0);
        expect(sum(summary.byObligation)).toBe(requirements.length);
        expect(sum(summary.byCategory)).toBe(requirements.length);
        for (const row of requirements) expect(row.quoteVerified).toBe(row.sourceOffset !== null);
        expect(result.flagged).toBe(requirements.filter((row) => !row.quoteVerified).length);
      }),
    );
  });

  it('gives the same matrix in whatever order the model lists a section', () => {
    const shuffled = finds.chain((list) =>
      fc.tuple(
        fc.constant(list),
        fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        const key = (result: TenderComplianceResult) =>
          result.requirements.map(({ number, text: restated, quote }) => ({
            number,
            restated,
            quote,
          }));
        expect(key(merge([], other))).toEqual(key(merge([], list)));
      }),
    );
  });

  it('lists verified requirements in the order of the source', () => {
    fc.assert(
      fc.property(answers, (given) => {
        const offsets = merge(...given).requirements.flatMap((row) => row.sourceOffset ?? []);
        expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
      }),
    );
  });
});
