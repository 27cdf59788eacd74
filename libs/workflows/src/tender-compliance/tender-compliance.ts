/**
 * `tender-compliance`: a tender document becomes a compliance matrix. Split along the document's own
 * headings → one call per section extracts requirements with quotes → merge, verify, number.
 */
import { contract, ContractBrokenError } from '../contract.js';
import { defineWorkflow } from '../define-workflow.js';
import type { Section, SplitDocument } from '../sections/section.js';
import { splitDocument } from '../sections/split-document.js';
import { computeStep, mapStep } from '../steps.js';
import type { StepContext, WorkflowDocument } from '../workflow.js';
import {
  extractionFormat,
  extractionPrompt,
  MODEL,
  readExtraction,
} from './extract-requirements.js';
import { matrixTable } from './matrix-table.js';
import { mergeRequirements } from './merge-requirements.js';
import { tenderComplianceResult } from './result-contract.js';

const input = contract({ type: 'object', properties: {}, additionalProperties: false });

const split = computeStep({
  name: 'split',
  title: 'Splitting the document into sections',
  run: (ctx) => splitDocument(tenderOf(ctx).text),
});

const extract = mapStep({
  name: 'extract',
  title: 'Reading the sections',
  output: extractionFormat,
  repair: 'once',
  maxParallelItems: 8,
  items: (ctx) => sectionsToRead(ctx.outputOf(split)),
  label: (section) => [section.number, section.title].filter((part) => part !== null).join(' '),
  prompt: (section, ctx) => extractionPrompt(section, tenderOf(ctx).text),
  read: (output) => readExtraction(output),
});

const merge = computeStep({
  name: 'merge',
  title: 'Building the matrix',
  run: (ctx) => {
    const document = ctx.outputOf(split);
    return mergeRequirements(
      tenderOf(ctx),
      document,
      sectionsToRead(document),
      ctx.outputOf(extract),
    );
  },
});

export const tenderCompliance = defineWorkflow({
  name: 'tender-compliance',
  version: 1,
  title: 'Compliance matrix of a tender',
  model: MODEL,
  inputSchema: input.schema,
  documents: { min: 1, max: 1, mediaTypes: ['text/markdown', 'text/plain'] },
  steps: [split, extract, merge],
  result: tenderComplianceResult.schema,
  table: matrixTable,
  retry: {},
});

/** Tables of contents and bare headings cost no call. */
const sectionsToRead = (document: SplitDocument): readonly Section[] =>
  document.sections.filter((section) => section.kind === 'text');

function tenderOf(ctx: StepContext): WorkflowDocument {
  const [tender] = ctx.documents;
  if (tender === undefined) {
    throw new ContractBrokenError(['/documents: exactly one is promised, none came']);
  }
  return tender;
}
