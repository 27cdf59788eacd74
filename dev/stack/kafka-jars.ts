/**
 * Fetches Apache Kafka's own jars with Maven, once per machine: the cache folder is shared by all checkouts, and every jar is
 * held against the committed list of checksums (`kafka/jars.sha256`), so what runs is what was reviewed.
 */
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { withProgress } from './progress.js';
import type { Log } from './progress.js';
import { repositoryRoot } from './repository.js';
import { StackError, StackPrerequisiteMissingError } from './stack-errors.js';

const run = promisify(execFile);
const recipeFolder = join(repositoryRoot, 'dev/stack/kafka');
export const kafkaVersion = '4.3.1';

export type Checksums = ReadonlyMap<string, string>;

/** The folder of verified jars. Downloads only what the cache lacks. */
export async function provideKafkaJars(log: Log, signal: AbortSignal): Promise<string> {
  const expected = parseChecksums(await readFile(join(recipeFolder, 'jars.sha256'), 'utf8'));
  const folder = join(cacheFolder(process.env), `kafka-${kafkaVersion}`);
  if (await isVerified(folder, expected)) return folder;
  await withProgress(log, `Downloading Apache Kafka ${kafkaVersion} with Maven (44 MB, once)`, () =>
    download(folder, expected, signal),
  );
  return folder;
}

export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holdfast');
}

/** Lines of `sha256sum`: "<hex>  <file>". */
export function parseChecksums(text: string): Checksums {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return new Map(
    lines.map((line) => {
      const match = /^([0-9a-f]{64}) [ *](\S+)$/.exec(line);
      if (!match?.[1] || !match[2]) throw new Error(`Not a line of a checksum list: ${line}`);
      return [match[2], match[1]];
    }),
  );
}

export interface ChecksumProblem {
  readonly file: string;
  readonly problem: 'missing' | 'different' | 'unexpected';
}

export function compareChecksums(expected: Checksums, actual: Checksums): ChecksumProblem[] {
  const problems: ChecksumProblem[] = [];
  for (const [file, sum] of expected) {
    const found = actual.get(file);
    if (found === undefined) problems.push({ file, problem: 'missing' });
    else if (found !== sum) problems.push({ file, problem: 'different' });
  }
  for (const file of actual.keys())
    if (!expected.has(file)) problems.push({ file, problem: 'unexpected' });
  return problems;
}

/** A full check hashes 44 MB once; later starts compare names, sizes and times with what was hashed then. */
async function isVerified(folder: string, expected: Checksums): Promise<boolean> {
  const stampFile = join(folder, '.verified');
  const stamp = await readFile(stampFile, 'utf8').catch(() => undefined);
  if (stamp !== undefined && stamp === (await fingerprint(folder, expected))) return true;
  if (compareChecksums(expected, await hashJars(folder)).length > 0) return false;
  await writeFile(stampFile, await fingerprint(folder, expected));
  return true;
}

async function fingerprint(folder: string, expected: Checksums): Promise<string> {
  const lines = [...expected].map(([file, sum]) => `${sum} ${file}`);
  for (const file of await jarsIn(folder)) {
    const { size, mtimeMs } = await stat(join(folder, file));
    lines.push(`${file} ${size} ${mtimeMs}`);
  }
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

async function download(folder: string, expected: Checksums, signal: AbortSignal): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const draft = await mkdtemp(`${folder}.`);
  try {
    await copyWithMaven(draft, signal);
    const problems = compareChecksums(expected, await hashJars(draft));
    if (problems.length > 0) throw checksumError(problems);
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder).catch(async (error: unknown) => {
      // Another checkout was faster: its jars are as good as ours.
      if (!(await isVerified(folder, expected))) throw error;
    });
    await utimes(folder, new Date(), new Date());
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function copyWithMaven(outputFolder: string, signal: AbortSignal): Promise<void> {
  const args = ['-q', '-B', '-f', join(recipeFolder, 'pom.xml')];
  args.push(
    'dependency:copy-dependencies',
    '-DincludeScope=runtime',
    `-DoutputDirectory=${outputFolder}`,
  );
  try {
    await run('mvn', args, { signal, maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new StackPrerequisiteMissingError('Maven', 'it fetches Apache Kafka', { cause: error });
    if (signal.aborted) throw error;
    const output = `${(error as { stdout?: string }).stdout ?? ''}`.trim().slice(0, 2_000);
    throw new StackError(
      'stack_kafka_download',
      `Maven could not fetch Apache Kafka ${kafkaVersion}:\n${output}\n` +
        'Is Maven Central (or the mirror in ~/.m2/settings.xml) within reach? Then start again.',
      { cause: error },
    );
  }
}

function checksumError(problems: readonly ChecksumProblem[]): StackError {
  const list = problems.map(({ file, problem }) => `  ${file}: ${problem}`).join('\n');
  return new StackError(
    'stack_kafka_checksum',
    `The downloaded Kafka jars are not those of dev/stack/kafka/jars.sha256:\n${list}\n` +
      'Nothing was kept. If pom.xml was changed on purpose, renew the list with sha256sum.',
  );
}

async function hashJars(folder: string): Promise<Checksums> {
  const sums = new Map<string, string>();
  for (const file of await jarsIn(folder)) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(folder, file))) hash.update(chunk as Buffer);
    sums.set(file, hash.digest('hex'));
  }
  return sums;
}

async function jarsIn(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch(() => []);
  return files.filter((file) => file.endsWith('.jar')).sort();
}
