/** Pure. Each example is a form in which real tenders write headings, or a line that only looks like one. */
import { findHeadings } from './find-headings.js';

const found = (...lines: string[]): string[] =>
  findHeadings(lines.join('\r\n')).map(({ number, title }) => `${number ?? '-'} ${title}`.trim());

describe('finding headings', () => {
  it.each([
    ['## 3.2 Hosting ##', '3.2 Hosting'],
    ['### <a name="1.01"></a>Sec. 1.01\tPurpose of the RFP', '1.01 Purpose of the RFP'],
    ['#### (a) Authorized Signature', '(a) Authorized Signature'],
    ['## APPENDIX A: GENERAL PROVISIONS', 'Appendix A GENERAL PROVISIONS'],
    ['### Article 11. Governing Law; Forum Selection', 'Article 11 Governing Law; Forum Selection'],
    ['### Exhibit 1. Cost Proposal', 'Exhibit 1 Cost Proposal'],
    ['## Section 4.', '4 Section 4'],
    ['## [2.1 Data &amp; *Interfaces*](#2.1)', '2.1 Data & Interfaces'],
    ['<h2 id="x">5. Terms</h2>', '5 Terms'],
    ['## Part II – Evaluation', 'Part II Evaluation'],
    ['## § 12 Confidentiality', '12 Confidentiality'],
    ['# Request for Proposals 2026', '- Request for Proposals 2026'],
    ['## 2026 budget year', '- 2026 budget year'],
    ['3.2.1 Hosting', '3.2.1 Hosting'],
    ['  A.4 Service Credits', 'A.4 Service Credits'],
    ['Section 4. Submission of Tenders', '4 Submission of Tenders'],
    ['Article 7', 'Article 7 Article 7'],
    ['SCHEDULE 2 – PRICES', 'Schedule 2 PRICES'],
    ['(b) Bid Bonds', '(b) Bid Bonds'],
    ['**Key Personnel**', '- Key Personnel'],
    ['OBJECTIVES', '- OBJECTIVES'],
    [
      '2. *Permitted Uses and Disclosures*. The supplier may use data.',
      '(2) Permitted Uses and Disclosures',
    ],
    ['3.2.1 The supplier shall host the service in the country.', '3.2.1'],
    ['**3.2.1.** The supplier shall host the service.', '3.2.1'],
  ])('reads %j', (line, expected) => {
    expect(found('', line, '', 'Text below it.')).toContain(expected);
  });

  it.each([
    ['a sentence that begins with a number', '3.5 million records shall be migrated.'],
    ['an amount', '12,500 Litres of fuel'],
    ['a date', '12.05.2026 Deadline for questions'],
    ['a list item in lower case', '(a) the supplier shall keep records'],
    ['an entry of a table of contents', '3.2 Hosting ............ 14'],
    ['a table row', '| 3.2 | Hosting |'],
    ['a quotation', '> 3.2 Hosting'],
    ['a rule', '----------'],
    ['a hash without a space', '#hashtag'],
    [
      'a statute at the start of a sentence',
      'Section 508 of the Act requires that agencies comply.',
    ],
    ['a sentence in bold', '**The supplier shall not subcontract.**'],
    ['a form to fill in', "**EVALUATOR'S TOTAL FOR 5.01: \\_\\_\\_\\_**"],
  ])('does not take %s for a heading', (_what, line) => {
    expect(found('Text above.', '', line, '', 'Text below.')).toEqual([]);
  });

  it('takes a line over dashes or equals signs for a heading, with both lines', () => {
    const source = 'Scope of Work\r\n=============\r\nText.\r\n\r\n2. Terms\r\n--------\r\nText.';
    expect(
      findHeadings(source).map(({ title, level, bodyStart }) => [
        title,
        level,
        source.slice(bodyStart, bodyStart + 5),
      ]),
    ).toEqual([
      ['Scope of Work', 1, 'Text.'],
      ['Terms', 2, 'Text.'],
    ]);
  });

  it('finds none in fenced code or front matter', () => {
    expect(found('---', 'title: A', '---', '', '```', '# comment', '```', '', '# Real')).toEqual([
      '- Real',
    ]);
  });

  it('takes a numbered line for a clause when its sentence runs on below', () => {
    const [heading] = findHeadings(
      '1.1 In this contract "Project Director" or "Agency Head"\nmeans the person who signs it.',
    );
    expect(heading).toMatchObject({ number: '1.1', title: '', bodyStart: 0 });
  });

  it('finds clauses that follow each other without blank lines', () => {
    expect(
      found(
        '2.1.1 The bidder shall dredge.',
        '2.1.2 The bidder must not',
        'dump spoil.',
        '2.1.3 Tax',
      ),
    ).toEqual(['2.1.1', '2.1.2', '2.1.3']);
  });

  it('does not take the entries of a list for headings', () => {
    expect(found('', '1.1 Purpose', '1.2 Budget', '1.3 Deadline', '', 'Text.')).toEqual([]);
  });

  it('takes `1. Title` for a heading only where no Markdown says better', () => {
    const lines = ['1. Introduction', '', 'Text.', ''];
    expect(found('', ...lines)).toEqual(['1 Introduction']);
    expect(found('# Tender', '', ...lines)).toEqual(['- Tender']);
  });

  it('lets a heading begin at the anchor above it', () => {
    const source = 'Text.\n\n<a name="2"></a>\n## 2 Terms\n';
    expect(findHeadings(source)[0]?.start).toBe(source.indexOf('<a'));
  });

  it('reads hostile lines in time that grows with their length only', () => {
    for (const hostile of [
      '#\t'.repeat(200_000),
      '<'.repeat(400_000),
      '[('.repeat(200_000),
      '1.'.repeat(200_000),
      '* '.repeat(100_000),
    ]) {
      expect(findHeadings(hostile).length).toBeLessThan(2);
    }
  }, 5_000);
});
