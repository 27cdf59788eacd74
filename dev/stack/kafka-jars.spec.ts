import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, compareChecksums, kafkaVersion, parseChecksums } from './kafka-jars.js';

const sum = (letter: string) => letter.repeat(64);

describe('the checksums of the Kafka jars', () => {
  it('the committed list names the broker jar of the version that is started', async () => {
    const list = parseChecksums(
      await readFile(join(import.meta.dirname, 'kafka/jars.sha256'), 'utf8'),
    );
    expect([...list.keys()]).toContain(`kafka_2.13-${kafkaVersion}.jar`);
  });

  it('finds what is missing, changed or not asked for', () => {
    const expected = new Map([
      ['same.jar', sum('a')],
      ['changed.jar', sum('b')],
      ['missing.jar', sum('c')],
    ]);
    const actual = new Map([
      ['same.jar', sum('a')],
      ['changed.jar', sum('0')],
      ['extra.jar', sum('d')],
    ]);
    expect(compareChecksums(expected, actual)).toEqual([
      { file: 'changed.jar', problem: 'different' },
      { file: 'missing.jar', problem: 'missing' },
      { file: 'extra.jar', problem: 'unexpected' },
    ]);
  });

  it('refuses a line that is none of a checksum list', () => {
    expect(() => parseChecksums('kafka.jar\n')).toThrow('Not a line of a checksum list: kafka.jar');
  });

  it('keeps the cache where XDG says, else under ~/.cache', () => {
    expect(cacheFolder({ XDG_CACHE_HOME: '/var/cache' })).toBe('/var/cache/holdfast');
    expect(cacheFolder({})).toMatch(/\/\.cache\/holdfast$/);
  });
});
