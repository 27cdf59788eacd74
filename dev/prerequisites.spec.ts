import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { explainMissing, findMissing, parseJavaVersion } from './prerequisites.mjs';

describe('the check of what the machine must have', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'holdfast-spec-'))));
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const install = (command: string, body: string) =>
    writeFile(join(folder, command), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  const env = () => ({ PATH: folder, npm_node_execpath: process.execPath });

  it('names Java and Maven, and the command that installs them', () => {
    const missing = findMissing(env(), { servers: true });
    expect(missing).toEqual([
      expect.stringMatching(/^Java 17 or later/),
      expect.stringMatching(/^Maven/),
    ]);
    expect(explainMissing(missing)).toContain('apt-get install -y openjdk-17-jre-headless maven');
  });

  it('names a Java that is too old with its version', async () => {
    await install('java', `echo 'openjdk version "11.0.2" 2019-01-15' >&2`);
    await install('mvn', '');
    expect(findMissing(env(), { servers: true })).toEqual([expect.stringContaining('(found 11)')]);
  });

  it('names a Node of the machine that is too old, whatever Node the script runs on', async () => {
    await install('node', 'echo v18.20.1');
    const old = { ...env(), npm_node_execpath: join(folder, 'node') };
    expect(findMissing(old, { servers: false })).toEqual([
      expect.stringContaining('(found 18.20)'),
    ]);
  });

  it('asks for neither Java nor Maven where no server is to be started', () => {
    expect(findMissing(env(), { servers: false })).toEqual([]);
  });

  it('finds nothing missing where all is there', async () => {
    await install('java', `echo 'openjdk version "21" 2023-09-19' >&2`);
    await symlink(join(folder, 'java'), join(folder, 'mvn'));
    expect(findMissing(env(), { servers: true })).toEqual([]);
  });

  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['java version "1.8.0_392"', 8],
    ['openjdk version "24-ea" 2025-03-18', 24],
    ['The operation couldn’t be completed. Unable to locate a Java Runtime.', null],
  ])('reads %s', (text, version) => {
    expect(parseJavaVersion(text)).toBe(version);
  });
});
