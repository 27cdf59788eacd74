/**
 * Real: the sample files, the tender-compliance workflow. The figures in README.md are measured again, and what
 * version 1 asks for these documents is pinned.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createStepContext, workflows, type ModelPrompt } from '#libs/workflows';
import { findRequirementSentences } from '../simulator/requirement-sentences.js';

const read = (name: string): string => readFileSync(`${import.meta.dirname}/${name}`, 'utf8');

/** One row per sample: file, words, requirement sentences, words of obligation, sections. */
const rows = [
  ...read('README.md').matchAll(
    /^\| `([\w-]+\.md)` \|.*\| ([\d,]+) \| (\d+) \| (\d+) \/ (\d+) \/ (\d+) \| (\d+) \|$/gm,
  ),
].map(([, file = '', words = '', ...counts]) => ({
  file,
  counts: [words.replace(',', ''), ...counts].map(Number),
}));

function promptsFor(text: string): ModelPrompt[] {
  const workflow = workflows.find('tender-compliance', 1);
  if (workflow === undefined)
    throw new Error('tender-compliance v1 is gone while runs may be pinned to it');
  const ctx = createStepContext(workflow, {
    input: {},
    documents: [{ id: 'doc_1', fileName: null, mediaType: 'text/markdown', text }],
    storedOutput: () => undefined,
  });
  return workflow.steps.flatMap((step) =>
    step.kind === 'map' ? step.items(ctx).map((item) => step.prompt(item, ctx)) : [],
  );
}

describe('the sample tenders', () => {
  it('are three', () => {
    expect(rows).toHaveLength(3);
  });

  it.each(rows)('$file holds what the README says', ({ file, counts }) => {
    const text = read(file);
    const sentences = findRequirementSentences(text);
    const saying = (word: string) =>
      sentences.filter(({ obligation }) => obligation === word).length;
    expect([
      text.match(/\S+/g)?.length,
      sentences.length,
      saying('shall'),
      saying('must'),
      saying('should'),
      promptsFor(text).length,
    ]).toEqual(counts);
  });

  /**
   * Runs are pinned to the version that they were submitted with, and pick up half-done work by section number after a
   * takeover. If this fails, the splitter, the prompt or a schema has changed: add a version, keep the old one. The larger cap is no
   * part of it: it is asked with only where the answer was cut.
   */
  it('are asked about in version 1 exactly as ever', () => {
    const asFirstAsked = (prompt: ModelPrompt) => ({ ...prompt, largerCap: undefined });
    const prompts = rows.map(({ file }) => promptsFor(read(file)).map(asFirstAsked));
    const digest = createHash('sha256').update(JSON.stringify(prompts)).digest('hex').slice(0, 16);
    expect(digest).toBe('d28d00bd688329d6');
  });
});
