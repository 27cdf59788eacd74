/** Pure: the environment is an argument. */
import { parseSettings } from './settings.js';

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const needed = {
  DATABASE_URL: 'postgres://u:p@localhost/h',
  KAFKA_BROKERS: 'localhost:9092',
  OPENAI_BASE_URL: 'http://localhost/v1',
  OPENAI_API_KEY: 'sk-x',
};

function parsed(env: Record<string, string>) {
  const answer = parseSettings({ ...needed, ...env });
  if (answer.kind === 'settings') return answer.settings;
  return answer.problems.map(({ name, reason }) => `${name}: ${reason}`);
}

describe('accounts with OpenAI', () => {
  it('have a name, an address and a key each; models go to them in order', () => {
    expect(
      parsed({
        PROCESSOR_OPENAI_ACCOUNTS: 'spare=https://spare.test/v1',
        PROCESSOR_OPENAI_KEYS: 'spare=sk-spare=1',
        PROCESSOR_OPENAI_LACKS: 'spare=background+webhooks',
        PROCESSOR_OPENAI_ROUTES: 'gpt-5.2=default+spare, gpt-5.2-mini=spare',
      }),
    ).toMatchObject({
      openai: {
        lacks: [],
        accounts: [
          {
            ...{ name: 'spare', baseUrl: 'https://spare.test/v1', apiKey: 'sk-spare=1' },
            lacks: ['background', 'webhooks'],
          },
        ],
        routes: new Map([
          ['gpt-5.2', ['default', 'spare']],
          ['gpt-5.2-mini', ['spare']],
        ]),
      },
    });
  });

  it('sign their webhooks each with a secret of its own', () => {
    const other = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
    const settings = parsed({
      PROCESSOR_OPENAI_ACCOUNTS: 'spare=https://spare.test/v1',
      ...{ PROCESSOR_OPENAI_KEYS: 'spare=sk-1', OPENAI_WEBHOOK_SECRET: secret },
      PROCESSOR_OPENAI_WEBHOOK_SECRETS: `spare=${other}`,
    });
    const webhookSecrets = new Map([
      ['default', secret],
      ['spare', other],
    ]);
    expect(settings).toMatchObject({ webhookSecrets });
    expect(parsed({})).toMatchObject({ webhookSecrets: new Map() });
  });

  it('are "default" alone where nothing is set', () => {
    expect(parsed({})).toMatchObject({ openai: { lacks: [], accounts: [], routes: new Map() } });
  });

  it.each<[string, Record<string, string>, string]>([
    ['without a key', { PROCESSOR_OPENAI_ACCOUNTS: 'spare=https://s.test/v1' }, 'no key for spare'],
    ['without an address', { PROCESSOR_OPENAI_KEYS: 'spare=sk-hidden' }, 'no address for spare'],
    ['called default', { PROCESSOR_OPENAI_ACCOUNTS: 'default=https://s.test/v1' }, 'OPENAI_BASE'],
    ['at no http address', { PROCESSOR_OPENAI_ACCOUNTS: 'spare=ftp://s.test' }, 'must be name='],
    ['that lack what nobody knows', { PROCESSOR_OPENAI_LACKS: 'default=batch' }, 'must be name='],
    ['that lack and are not set', { PROCESSOR_OPENAI_LACKS: 'spare=webhooks' }, 'is not set'],
    ['on a route and not set', { PROCESSOR_OPENAI_ROUTES: 'gpt-5.2=default+spare' }, 'spare'],
    [
      'that are not set and sign webhooks',
      { PROCESSOR_OPENAI_WEBHOOK_SECRETS: `spare=${secret}` },
      'no further account: spare',
    ],
    [
      'that sign webhooks with the secret of another',
      {
        PROCESSOR_OPENAI_ACCOUNTS: 'spare=https://s.test/v1',
        ...{ PROCESSOR_OPENAI_KEYS: 'spare=sk-1', OPENAI_WEBHOOK_SECRET: secret },
        PROCESSOR_OPENAI_WEBHOOK_SECRETS: `spare=${secret}`,
      },
      'one secret for two accounts',
    ],
    ['twice on a route', { PROCESSOR_OPENAI_ROUTES: 'gpt-5.2=default+default' }, 'twice'],
  ])('%s are refused, and no key is shown', (_what, env, reason) => {
    const problems = parsed(env);
    expect(problems).toEqual(expect.arrayContaining([expect.stringContaining(reason) as string]));
    expect(JSON.stringify(problems)).not.toContain('sk-hidden');
  });
});

describe('receivers of webhooks', () => {
  it('have a name, an address and a secret each; values may hold "="', () => {
    const settings = parsed({
      PROCESSOR_WEBHOOK_TARGETS: 'crm=https://crm.example.com/h?a=b, back-office=https://b.test/',
      PROCESSOR_WEBHOOK_SECRETS: `back-office=${secret},crm=${secret}`,
    });
    if (Array.isArray(settings)) throw new Error(settings.join());
    const targets = [...settings.webhookTargets.values()];
    expect(targets.map(({ name, url }) => [name, url.href])).toEqual([
      ['crm', 'https://crm.example.com/h?a=b'],
      ['back-office', 'https://b.test/'],
    ]);
    expect(targets[0]?.secret).toBe(secret);
    expect(settings.webhookPrivateAddresses).toBe('refused');
  });

  it('are none where nothing is set', () => {
    const settings = parsed({});
    expect(settings).toMatchObject({ webhookTargets: new Map() });
  });

  it.each<[string, Record<string, string>, string]>([
    ['without a secret', { PROCESSOR_WEBHOOK_TARGETS: 'crm=https://c.test/' }, 'no secret for crm'],
    ['without an address', { PROCESSOR_WEBHOOK_SECRETS: `crm=${secret}` }, 'no address for crm'],
    ['of no kebab-case', { PROCESSOR_WEBHOOK_TARGETS: 'CRM=https://c.test/' }, 'must be name='],
    ['at no http address', { PROCESSOR_WEBHOOK_TARGETS: 'crm=ftp://c.test/' }, 'must be name='],
    ['with a password', { PROCESSOR_WEBHOOK_TARGETS: 'crm=https://u:p@c.test/' }, 'must be name='],
    [
      'named twice',
      { PROCESSOR_WEBHOOK_TARGETS: 'crm=https://c.test/,crm=https://d.test/' },
      'none twice',
    ],
    [
      'with a weak secret',
      { PROCESSOR_WEBHOOK_SECRETS: 'crm=whsec_c2hvcnQ=' },
      'must be name=whsec_',
    ],
  ])('%s are refused, and no secret is shown', (_what, env, reason) => {
    const problems = parsed(env);
    expect(problems).toEqual(expect.arrayContaining([expect.stringContaining(reason) as string]));
    expect(JSON.stringify(problems)).not.toContain('c2hvcnQ');
    expect(JSON.stringify(problems)).not.toContain(secret);
  });
});

describe("OpenAI's limits", () => {
  it('are read from JSON, and are none where nothing is set', () => {
    expect(parsed({})).toMatchObject({ openaiLimits: [] });
    const limits = '[{"pool":"gpt-5.2","requests":500,"tokens":200000}]';
    expect(parsed({ PROCESSOR_OPENAI_LIMITS: limits })).toMatchObject({
      openaiLimits: [{ pool: 'gpt-5.2', requests: 500, tokens: 200_000, windowMs: 60_000 }],
    });
  });

  it('that contradict each other are refused, all of them at once', () => {
    const limits = '[{"pool":"a","requests":0},{"pool":"b","requests":500,"tokens":200}]';
    const problems = parsed({ PROCESSOR_OPENAI_LIMITS: limits });
    expect(problems).toEqual([
      expect.stringMatching(/^PROCESSOR_OPENAI_LIMITS: \[0\] needs requests.*; \[1\] .*swapped/),
    ]);
  });
});
