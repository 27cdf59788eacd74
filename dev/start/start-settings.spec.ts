import { describeStart, parseStartSettings, withoutPassword } from './start-settings.js';

describe('what the environment says about where Holdfast runs', () => {
  it('without a key of OpenAI the simulator stands in', () => {
    expect(parseStartSettings({}).provider).toEqual({
      kind: 'simulator',
      port: { kind: 'preferred', port: 3900 },
    });
  });

  it('with a key OpenAI itself is called, or who OPENAI_BASE_URL names', () => {
    expect(parseStartSettings({ OPENAI_API_KEY: 'sk-1' }).provider).toEqual({
      kind: 'openai',
      baseUrl: 'https://api.openai.com/v1',
    });
    const own = { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: 'https://gateway.example/v1' };
    expect(parseStartSettings(own).provider).toMatchObject({
      baseUrl: 'https://gateway.example/v1',
    });
  });

  it('the start line says what it talks to, and shows neither password nor key', () => {
    const env = {
      DATABASE_URL: 'postgres://me:secret@db.example:5432/holdfast?sslmode=require',
      OPENAI_API_KEY: 'sk-secret',
    };
    const line = describeStart(parseStartSettings(env), {
      apiUrl: 'http://127.0.0.1:3000',
      databaseUrl: env.DATABASE_URL,
      kafkaBrokers: '127.0.0.1:19092',
      openAiUrl: 'https://api.openai.com/v1',
      logFolder: '.holdfast/logs',
    });
    expect(line).toMatch(/^ready: /);
    expect(line).toContain('Postgres postgres://db.example:5432/holdfast (yours)');
    expect(line).toContain('Kafka 127.0.0.1:19092 (embedded)');
    expect(line).toContain('OpenAI https://api.openai.com/v1 (your key: calls cost money)');
    expect(line).not.toContain('secret');
  });

  it('shows a URL without user, password and query', () => {
    expect(withoutPassword('postgres://u:p@h:1/d?x=y')).toBe('postgres://h:1/d');
  });
});
