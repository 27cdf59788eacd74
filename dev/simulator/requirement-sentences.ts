/**
 * Finds the sentences of a tender's text that bind somebody: shall, must, should, required to.
 * Not a parser of English: it stands in for a model, so what matters is that its quotes are real and always the same.
 */
export interface RequirementSentence {
  /** As in the document, with white space folded to single spaces. */
  readonly quote: string;
  readonly obligation: 'shall' | 'must' | 'should';
}

/** The text between `<document_section …>` and `</document_section>`; several sections are joined. */
export function documentText(prompt: string): string | null {
  const sections = prompt.matchAll(
    /<document_section\b(?:"[^"]*"|[^">])*>([\s\S]*?)<\/document_section>/g,
  );
  const texts = [...sections].map((match) => match[1] ?? '');
  return texts.length === 0 ? null : texts.join('\n\n');
}

export function findRequirementSentences(text: string): RequirementSentence[] {
  return splitBlocks(text)
    .flatMap(splitSentences)
    .filter((sentence) => sentence.length >= 20 && sentence.length <= 800)
    .flatMap((quote) => {
      const obligation = obligationOf(quote);
      return obligation === null ? [] : [{ quote, obligation }];
    });
}

export function obligationOf(sentence: string): RequirementSentence['obligation'] | null {
  if (/\bshall\b/i.test(sentence)) return 'shall';
  if (/\bmust\b|\brequired to\b/i.test(sentence)) return 'must';
  return /\bshould\b/i.test(sentence) ? 'should' : null;
}

/** Paragraphs, list items and table rows each stand alone; a heading binds nobody. */
function splitBlocks(text: string): string[] {
  const blocks: string[] = [];
  let current: string[] = [];
  const end = () => {
    if (current.length > 0) blocks.push(current.join(' '));
    current = [];
  };
  for (const line of text.split(/\r?\n/)) {
    const content = line.trim();
    const marker = /^(?:[-*+•]|\(?[0-9]{1,3}[.)]|\(?[a-z][.)])\s+/i.exec(content);
    if (content === '' || /^#{1,6}\s/.test(content)) end();
    else if (content.startsWith('|')) {
      end();
      blocks.push(...content.split('|'));
    } else if (marker === null) current.push(content);
    else {
      end();
      current.push(content.slice(marker[0].length));
    }
  }
  end();
  return blocks.map((block) => block.replace(/\s+/g, ' ').trim()).filter((block) => block !== '');
}

const abbreviation =
  /(?:\b(?:e\.g|i\.e|etc|no|sec|vs|inc|mr|ms|dr|art|para|fig|u\.s|cf)|\b[A-Z])\.$/i;

function splitSentences(block: string): string[] {
  const sentences: string[] = [];
  let from = 0;
  for (const match of block.matchAll(/[.!?;]["')\]]*\s+(?=["'([]?[A-Z0-9])/g)) {
    const end = match.index + match[0].trimEnd().length;
    if (abbreviation.test(block.slice(from, match.index + 1))) continue;
    sentences.push(block.slice(from, end));
    from = match.index + match[0].length;
  }
  sentences.push(block.slice(from));
  return sentences.map((sentence) => sentence.trim());
}
