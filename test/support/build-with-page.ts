/**
 * Holdfast as it is after somebody has done what a page says: apps and libs copied, the page's snippets written over them, built
 * with the repository's own compiler settings. In a folder of its own below .holdfast/, where Node finds the same packages.
 *
 * A snippet says where it belongs: ```ts title="<path>" is a whole file; ```diff title="<path>" is a change to one.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { repositoryRoot } from '../../dev/stack/repository.js';

const run = promisify(execFile);
const copied = ['apps', 'libs', 'package.json', 'tsconfig.json', 'jest.config.js'];
const limitMs = 120_000;

export interface PageBuild {
  /** What to start apps from. */
  readonly dist: string;
  /** Runs specs of the changed tree; rejects with jest's report where one fails. */
  specs(...paths: readonly string[]): Promise<void>;
  remove(): Promise<void>;
}

export async function buildWithPage(page: string): Promise<PageBuild> {
  const place = join(repositoryRoot, '.holdfast');
  await mkdir(place, { recursive: true });
  const folder = await mkdtemp(join(place, 'page-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    for (const path of copied)
      await cp(join(repositoryRoot, path), join(folder, path), { recursive: true });
    const text = await readFile(join(repositoryRoot, page), 'utf8');
    for (const snippet of snippetsOf(text)) await apply(snippet, folder);
    await writeFile(join(folder, 'tsconfig.page.json'), JSON.stringify(compilation));
    await runNode(folder, tool('typescript/bin/tsc'), '-p', 'tsconfig.page.json');
  } catch (error) {
    await remove();
    throw error;
  }
  const jest = ['--experimental-vm-modules', tool('jest/bin/jest.js'), '--runTestsByPath'];
  return {
    dist: join(folder, 'dist'),
    specs: (...paths) => runNode(folder, ...jest, ...paths),
    remove,
  };
}

/** The page's own specs are compiled too; those of the repository have been, where they stand. */
const compilation = {
  extends: './tsconfig.json',
  compilerOptions: { noEmit: false, incremental: false, tsBuildInfoFile: null },
};

interface Snippet {
  readonly kind: 'ts' | 'diff';
  readonly path: string;
  readonly body: string;
}

function snippetsOf(page: string): Snippet[] {
  const blocks = page.matchAll(/^```(ts|diff) title="([^"]+)"\n([\s\S]*?)^```$/gm);
  return [...blocks].map(([, kind, path = '', body = '']) => ({
    kind: kind === 'diff' ? 'diff' : 'ts',
    ...{ path, body },
  }));
}

async function apply({ kind, path, body }: Snippet, folder: string): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  if (kind === 'ts') return writeFile(file, body, { flag: 'wx' }); // a new file: nothing is overwritten
  const text = await readFile(file, 'utf8');
  const [before, after] = [sideOf(body, '-'), sideOf(body, '+')];
  if (text.split(before).length !== 2)
    throw new Error(`${path} does not hold, just once, what the page changes:\n${before}`);
  await writeFile(
    file,
    text.replace(before, () => after),
  );
}

/** The lines of a diff that stand before it (`-`) or after it (`+`). */
function sideOf(diff: string, sign: '-' | '+'): string {
  const lines = diff.split('\n').filter((line) => line.startsWith(' ') || line.startsWith(sign));
  return lines.map((line) => `${line.slice(1)}\n`).join('');
}

const tool = (path: string) => join(repositoryRoot, 'node_modules', path);

async function runNode(cwd: string, ...args: readonly string[]): Promise<void> {
  try {
    await run(process.execPath, args, { cwd, timeout: limitMs });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}
