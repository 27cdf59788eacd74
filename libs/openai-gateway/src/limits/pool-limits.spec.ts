import type { ServiceTier } from '#libs/domain';
import { parseLimits, poolOf } from './pool-limits.js';

const parsed = (pools: unknown) => {
  const read = parseLimits(typeof pools === 'string' ? pools : JSON.stringify(pools));
  return read.kind === 'limits' ? read.limits : read.problems;
};

describe('limits as they are set', () => {
  it('are for the model that the pool is named after, per minute, where nothing else is said', () => {
    expect(parsed([{ pool: 'gpt-5.2', requests: 500, tokens: 200_000 }])).toEqual([
      {
        ...{ account: 'default', pool: 'gpt-5.2', tier: 'default', models: ['gpt-5.2'] },
        ...{ requests: 500, tokens: 200_000, windowMs: 60_000, inFlight: 1_000 },
      },
    ]);
  });

  it('may be for several models, a day, an account and a tier', () => {
    expect(
      parsed([
        {
          models: ['a', 'b'],
          pool: 'both',
          requests: 9,
          perSeconds: 86_400,
          account: 'x',
          tier: 'flex',
        },
        { models: ['gpt-5.2'], inFlight: 4 },
      ]),
    ).toMatchObject([
      {
        pool: 'both',
        models: ['a', 'b'],
        windowMs: 86_400_000,
        account: 'x',
        tier: 'flex',
        tokens: null,
      },
      { pool: 'gpt-5.2', requests: null, tokens: null, inFlight: 4 },
    ]);
  });

  it.each<[string, unknown, string]>([
    ['no JSON', '[{', 'must be a JSON list'],
    ['no list', { pool: 'a', requests: 1 }, 'must be a JSON list'],
    ['a number in the list', [5], '[0] must be an object'],
    ['a misspelt field', [{ pool: 'a', request: 5 }], 'has request, which means nothing'],
    ['nothing to limit', [{ pool: 'a' }], 'limits nothing'],
    [
      'an unknown tier',
      [{ pool: 'a', requests: 5, tier: 'slow' }],
      'needs tier: one of default, flex',
    ],
    ['no name', [{ requests: 5 }], 'needs pool'],
    ['zero requests', [{ pool: 'a', requests: 0 }], 'needs requests: a number from 1'],
    ['negative tokens', [{ pool: 'a', tokens: -1 }], 'needs tokens: a number from 16'],
    ['text for a number', [{ pool: 'a', tokens: '100' }], 'needs tokens'],
    ['more tokens than there are', [{ pool: 'a', tokens: 1e13 }], 'to 1000000000000'],
    ['no slots', [{ pool: 'a', inFlight: 0 }], 'needs inFlight: a number from 1'],
    [
      'fewer tokens than any call takes',
      [{ pool: 'a', requests: 500, tokens: 200 }],
      'are they swapped?',
    ],
    [
      'a time for nothing',
      [{ pool: 'a', inFlight: 5, perSeconds: 60 }],
      'has perSeconds, but neither',
    ],
    ['a model twice in a pool', [{ pool: 'p', models: ['a', 'a'], requests: 5 }], 'names a twice'],
    [
      'a model in two pools',
      [
        { pool: 'p', models: ['a'], requests: 5 },
        { pool: 'q', models: ['a'], requests: 5 },
      ],
      'model a of account default, tier default is in p and in q; leave it in one of them',
    ],
    [
      'a pool named like a model of another',
      [
        { pool: 'p', models: ['a'], requests: 5 },
        { pool: 'a', models: ['b'], requests: 5 },
      ],
      'model a of account default, tier default is in p and in a',
    ],
    [
      'a pool twice',
      [
        { pool: 'p', requests: 5 },
        { pool: 'p', requests: 6 },
      ],
      'pool p of account default, tier default stands there twice',
    ],
  ])('are refused with %s, and told what to write', (_, pools, problem) => {
    expect(parsed(pools)).toContainEqual(expect.stringContaining(problem));
  });

  it('are refused with all that is wrong at once', () => {
    expect(parsed([{ pool: 'a', requests: 0 }, { tokens: 5 }])).toHaveLength(3);
  });

  it('may name a model again under another account or tier', () => {
    expect(
      parsed([
        { pool: 'a', requests: 5 },
        { pool: 'a', requests: 5, tier: 'flex' },
      ]),
    ).toHaveLength(2);
  });
});

describe('the pool of a model', () => {
  const read = parseLimits(
    JSON.stringify([{ pool: 'p', models: ['gpt-5.2', 'gpt-5.2-mini'], requests: 5 }]),
  );
  const limits = read.kind === 'limits' ? read.limits : [];
  const pool = (model: string, tier: ServiceTier = 'default') =>
    poolOf(limits, { account: 'default', model, tier });

  it.each(['gpt-5.2', 'gpt-5.2-mini', 'gpt-5.2-2026-01-15'])(
    'of %s is the one that names its family',
    (model) => {
      expect(pool(model)).toMatchObject({ pool: 'p', requests: 5 });
    },
  );

  it('that nobody names is its own, without limits but for calls in flight', () => {
    const own = { requests: null, tokens: null, inFlight: 1_000 };
    expect(pool('o9-2026-01-15')).toMatchObject({ pool: 'o9', models: ['o9'], ...own });
    expect(pool('gpt-5.2', 'flex')).toMatchObject({ pool: 'gpt-5.2', tier: 'flex', ...own });
  });
});
