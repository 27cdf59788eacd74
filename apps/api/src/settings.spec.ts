import { describeBadSettings } from '#libs/process';
import { parseSettings } from './settings.js';

const good = { DATABASE_URL: 'postgres://u:secret@db:5432/holdfast', KAFKA_BROKERS: 'k1:9092' };

describe('settings of the api', () => {
  it('have defaults for all but Postgres and Kafka', () => {
    const parsed = parseSettings(good);
    expect(parsed).toMatchObject({
      kind: 'settings',
      settings: {
        host: '127.0.0.1',
        port: 3000,
        topicPrefix: '',
        logLevel: 'info',
        maxUnfinishedRuns: 10_000,
      },
    });
  });

  it('take a database of their own before the shared one', () => {
    const parsed = parseSettings({ ...good, CONTENT_DATABASE_URL: 'postgres://c/content' });
    expect(parsed).toMatchObject({
      settings: { databaseUrl: good.DATABASE_URL, contentDatabaseUrl: 'postgres://c/content' },
    });
  });

  it('are refused all at once, each by name, without showing a value', () => {
    const parsed = parseSettings({
      DATABASE_URL: 'mysql://u:secret@db/x',
      KAFKA_BROKERS: 'nonsense',
      API_PORT: '70000',
      LOG_LEVEL: 'loud',
      HOLDFAST_HOST: '0.0.0.0',
      HOLDFAST_TOPIC_PREFIX: 'a b',
    });
    if (parsed.kind === 'settings') throw new Error('these settings are bad');
    const text = describeBadSettings('api', parsed.problems);
    for (const name of ['DATABASE_URL', 'KAFKA_BROKERS', 'API_PORT', 'LOG_LEVEL', 'HOLDFAST_HOST'])
      expect(text).toContain(`  ${name}: `);
    expect(text).toContain('HOLDFAST_TOPIC_PREFIX');
    expect(text).not.toContain('secret');
  });

  it('say who may send commands, and as which tenant', () => {
    const sources = (text: string) => parseSettings({ ...good, API_COMMAND_SOURCES: text });
    expect(sources('/billing=acme, urn:crm?a=b=other')).toMatchObject({
      settings: {
        commandSources: new Map([
          ['/billing', 'acme'],
          ['urn:crm?a=b', 'other'],
        ]),
      },
    });
    expect(sources('')).toMatchObject({ settings: { commandSources: new Map() } });
    for (const wrong of ['/billing', '=acme', '/a=x y', '/a=x,/a=y'])
      expect(sources(wrong)).toMatchObject({ problems: [{ name: 'API_COMMAND_SOURCES' }] });
  });

  it('that are missing are all named', () => {
    const parsed = parseSettings({ KAFKA_BROKERS: '' });
    if (parsed.kind === 'settings') throw new Error('these settings are bad');
    expect(parsed.problems.map((problem) => problem.name)).toEqual([
      'API_DATABASE_URL',
      'CONTENT_DATABASE_URL',
      'KAFKA_BROKERS',
    ]);
  });
});
