/** Pure; nothing stands in. */
import fc from 'fast-check';
import { mergeDuplicates, type Find } from './merge-duplicates.js';

const find = (text: string, quote: string, section = 0, sourceOffset: number | null = 0): Find => ({
  text,
  quote,
  section,
  sourceOffset,
});

const kept = (finds: readonly Find[]): Find[] =>
  mergeDuplicates(finds).map((merged) => merged.kept);

const anyFind = fc.record({
  text: fc.constantFrom('Keep records.', 'keep  records', 'Pay tax.', 'Be early.', 'Insure.'),
  quote: fc.constantFrom(
    'shall keep records',
    'shall keep\r\nrecords;',
    'must pay',
    'must be early',
    '',
  ),
  section: fc.nat({ max: 3 }),
  sourceOffset: fc.option(fc.nat({ max: 99 })),
});

describe('merging duplicates', () => {
  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(fc.array(anyFind), (finds) => {
        const once = kept(finds);
        expect(kept(once)).toEqual(once);
        expect(mergeDuplicates(once).every(({ repeats }) => repeats.length === 0)).toBe(true);
      }),
    );
  });

  it('drops nothing: every find is kept or listed as a repeat, once, in order', () => {
    fc.assert(
      fc.property(fc.array(anyFind), (finds) => {
        const merged = mergeDuplicates(finds);
        const all = merged.flatMap((group) => [group.kept, ...group.repeats]);
        expect(new Set(all)).toEqual(new Set(finds));
        expect(all).toHaveLength(finds.length);
        const places = merged.map((group) => finds.indexOf(group.kept));
        expect(places).toEqual([...places].sort((a, b) => a - b));
      }),
    );
  });

  it('takes the same restatement for one requirement, whatever its spacing, case and full stop', () => {
    expect(kept([find('Keep records.', 'q1'), find('keep\r\n records', 'q2', 1)])).toHaveLength(1);
  });

  it('takes the same quote from two sections for one requirement', () => {
    expect(
      kept([
        find('Keep records.', 'shall keep records', 0),
        find('Store logs.', 'shall keep\r\nrecords', 1),
      ]),
    ).toHaveLength(1);
  });

  it('keeps both restatements of one sentence that binds twice', () => {
    const sentence = 'shall deliver and must insure';
    expect(kept([find('Deliver.', sentence), find('Insure.', sentence)])).toHaveLength(2);
  });

  it('prefers a verified quote over a flagged one that came before it', () => {
    const flagged = find('Keep records.', 'misquoted', 0, null);
    const verified = find('Keep records.', 'shall keep records', 1, 40);
    expect(kept([flagged, verified])).toEqual([verified]);
  });
});
