/** Real: files in a folder of their own. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDemoArgs, readDocuments } from './demo-request.js';

describe('what the demo is asked for', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'holdfast-spec-'))));
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };

  it('takes files and --exit in any order', () => {
    expect(parseDemoArgs(['a.md', '--exit', 'b.txt'])).toEqual({
      files: ['a.md', 'b.txt'],
      exit: true,
    });
    expect(parseDemoArgs([])).toEqual({ files: [], exit: false });
  });

  it('refuses an option that it does not know, and shows the usage', () => {
    expect(() => parseDemoArgs(['--quit'])).toThrow(/--quit[^]*Usage: npm run demo/);
  });

  it('reads the named files, else every sample', async () => {
    await write('two.md', '# Two');
    await write('one.txt', 'One');
    await write('README.md', 'About the samples');
    const samples = await readDocuments([], folder);
    expect(samples.map(({ fileName, mediaType }) => [fileName, mediaType])).toEqual([
      ['one.txt', 'text/plain'],
      ['two.md', 'text/markdown'],
    ]);
    expect(await readDocuments([join(folder, 'two.md')], folder)).toHaveLength(1);
  });

  it('names every file that it can’t use, and why', async () => {
    await mkdir(join(folder, 'sub.md'));
    const files = [
      await write('blank.md', ' \n'),
      await write('scan.pdf', '%PDF'),
      join(folder, 'sub.md'),
      join(folder, 'nowhere.md'),
    ];
    await expect(readDocuments(files, folder)).rejects.toThrow(
      /blank\.md is empty\n.*scan\.pdf is neither Markdown nor plain text.*\n.*sub\.md is a folder.*\n.*nowhere\.md does not exist/,
    );
  });
});
