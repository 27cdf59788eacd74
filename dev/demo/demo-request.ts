/** What was asked of the demo: which documents, and whether to end at once. Checked before anything is started. */
import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { parseArgs } from 'node:util';

export interface DemoRequest {
  readonly files: readonly string[];
  /** End after the story instead of staying up. */
  readonly exit: boolean;
}

export interface DemoDocument {
  readonly fileName: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export class DemoRequestError extends Error {
  override readonly name = 'DemoRequestError';
  readonly code = 'demo_request_invalid';
}

const usage = 'Usage: npm run demo -- [tender.md …] [--exit]';
const mediaTypes: Readonly<Record<string, string>> = {
  '.md': 'text/markdown',
  '.markdown': 'text/markdown',
  '.txt': 'text/plain',
};

export function parseDemoArgs(args: readonly string[]): DemoRequest {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { exit: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    return { files: positionals, exit: values.exit };
  } catch (error) {
    throw new DemoRequestError(`${(error as Error).message}\n${usage}`, { cause: error });
  }
}

/** Undefined for a name whose ending says neither Markdown nor text. */
export function mediaTypeOf(fileName: string): string | undefined {
  return mediaTypes[extname(fileName).toLowerCase()];
}

/** The named files, or all samples. Every file that can't be used is named, not only the first. */
export async function readDocuments(
  files: readonly string[],
  sampleFolder: string,
): Promise<DemoDocument[]> {
  const paths = files.length > 0 ? files : await samplesIn(sampleFolder);
  const read = await Promise.all(paths.map(readDocument));
  const problems = read.filter((each) => typeof each === 'string');
  if (problems.length > 0) throw new DemoRequestError(`${problems.join('\n')}\n${usage}`);
  return read.filter((each) => typeof each !== 'string');
}

async function samplesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => mediaTypeOf(name) && !/^readme/i.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/** The document, or what is wrong with it. */
async function readDocument(path: string): Promise<DemoDocument | string> {
  const mediaType = mediaTypeOf(path);
  try {
    if ((await stat(path)).isDirectory()) return `${path} is a folder; name the files in it`;
    if (!mediaType) return `${path} is neither Markdown nor plain text (.md, .txt)`;
    const bytes = new Uint8Array(await readFile(path));
    if (new TextDecoder().decode(bytes).trim() === '') return `${path} is empty`;
    return { fileName: basename(path), mediaType, bytes };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return `${path} does not exist`;
    return `${path} can't be read (${code ?? String(error)})`;
  }
}
