import fc from 'fast-check';
import { describeBadSettings, SettingReader } from './settings.js';

const reader = (env: Record<string, string>) => new SettingReader(env);
const problemsOf = (read: SettingReader) => {
  const parsed = read.result({});
  return parsed.kind === 'bad_settings' ? parsed.problems : [];
};

describe('settings', () => {
  it('that are bad are all told at once, each once', () => {
    const read = reader({ PORT: 'x', LOG: 'loud', PREFIX: 'a b', BROKERS: 'localhost' });
    read.wholeNumber('PORT', { fallback: 1, min: 0, max: 9 });
    read.wholeNumber('PORT', { fallback: 1, min: 0, max: 9 });
    read.oneOf('LOG', ['info', 'warn'], 'info');
    read.topicPrefix('PREFIX');
    read.brokers('BROKERS');
    read.brokers('MORE_BROKERS');
    read.secret('KEY');
    const names = problemsOf(read).map(({ name }) => name);
    expect(names).toEqual(['PORT', 'LOG', 'PREFIX', 'BROKERS', 'MORE_BROKERS', 'KEY']);
    const text = describeBadSettings('processor', problemsOf(read));
    expect(text.split('\n')).toHaveLength(7);
    expect(text).toContain('holdfast processor: 6 bad setting(s):');
  });

  it('that hold a password are never repeated', () => {
    const read = reader({ URL: 'mysql://me:hunter2@host/db', KEY: 'hunter2 hunter2' });
    read.postgresUrl('URL', 'DATABASE_URL');
    read.secret('KEY');
    expect(problemsOf(read)).toHaveLength(2);
    expect(JSON.stringify(problemsOf(read))).not.toContain('hunter2');
  });

  it('that are empty are the same as not set', () => {
    const read = reader({ PORT: ' ', LOG: '', PREFIX: '' });
    expect(read.wholeNumber('PORT', { fallback: 7, min: 0, max: 9 })).toBe(7);
    expect(read.oneOf('LOG', ['info', 'warn'], 'warn')).toBe('warn');
    expect(read.topicPrefix('PREFIX')).toBe('');
    expect(problemsOf(read)).toEqual([]);
  });

  it('take the database of their own, else the one of all', () => {
    const both = { OWN: 'postgres://own', DATABASE_URL: 'postgresql://all' };
    expect(reader(both).postgresUrl('OWN', 'DATABASE_URL')).toBe('postgres://own');
    const shared = reader({ DATABASE_URL: both.DATABASE_URL });
    expect(shared.postgresUrl('OWN', 'DATABASE_URL')).toBe('postgresql://all');
  });

  it('let nobody reach a process from outside', () => {
    const hosts = ['127.0.0.1', '::1', 'localhost', '0.0.0.0', '10.0.0.7', '127.0.0.1.evil'];
    const accepted = hosts.filter((HOST) => {
      const read = reader({ HOST });
      read.host('HOST', 'OPEN');
      return problemsOf(read).length === 0;
    });
    expect(accepted).toEqual(['127.0.0.1', '::1', 'localhost']);
    for (const [OPEN, problems] of [
      ['without-authentication', 0],
      ['yes', 2],
      ['no', 1],
    ] as const) {
      const read = reader({ HOST: '0.0.0.0', OPEN });
      read.host('HOST', 'OPEN');
      expect([OPEN, problemsOf(read).length]).toEqual([OPEN, problems]);
    }
  });

  it('take a number only as plain digits within its range', () => {
    const anyText = fc.oneof(fc.integer().map(String), fc.string(), fc.double().map(String));
    fc.assert(
      fc.property(anyText, (text) => {
        const read = reader({ N: text });
        const value = read.wholeNumber('N', { fallback: 5, min: 1, max: 1_000 });
        const trimmed = text.trim();
        if (trimmed === '') return expect(value).toBe(5);
        const good = /^\d+$/.test(trimmed) && Number(trimmed) >= 1 && Number(trimmed) <= 1_000;
        expect(problemsOf(read)).toHaveLength(good ? 0 : 1);
        if (good) expect(value).toBe(Number(trimmed));
      }),
    );
  });
});
