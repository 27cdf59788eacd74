/** Pure: the environment is an argument. */
import { WorkflowCatalogue, workflows } from '#libs/workflows';
import { requirePrices } from './require-prices.js';
import { parseSettings } from './settings.js';

const needed = {
  DATABASE_URL: 'postgres://u:p@localhost/h',
  KAFKA_BROKERS: 'localhost:9092',
  OPENAI_BASE_URL: 'http://localhost/v1',
  OPENAI_API_KEY: 'sk-x',
};
const now = Date.parse('2026-11-20');

function parsed(env: Record<string, string>) {
  const read = parseSettings({ ...needed, ...env });
  if (read.kind === 'settings') return read.settings.money;
  throw new Error(read.problems.map(({ name, reason }) => `${name}: ${reason}`).join('\n'));
}

it('are none where nothing is set', () => {
  expect(parsed({})).toEqual({
    prices: { prices: new Map(), unknownModels: null },
    dayBudgets: { tenants: new Map(), workflows: new Map() },
  });
});

it('are read: models, a ceiling for the others, and budgets', () => {
  const money = parsed({
    PROCESSOR_MODEL_PRICES: 'llama-4=0.2/0.1/0.6, *=50/50/200',
    PROCESSOR_TENANT_DAY_BUDGETS: 'acme=25.50,idle=0',
    PROCESSOR_WORKFLOW_DAY_BUDGETS: 'answer=1',
  });
  expect(money.prices).toEqual({
    prices: new Map([['llama-4', { input: '0.2', cachedInput: '0.1', output: '0.6' }]]),
    unknownModels: { input: '50', cachedInput: '50', output: '200' },
  });
  expect([...money.dayBudgets.tenants]).toEqual([
    ['acme', 25_500_000_000n],
    ['idle', 0n],
  ]);
});

it.each([
  ['a negative price', { PROCESSOR_MODEL_PRICES: 'a=-1/0/1' }],
  ['a price that is short of a part', { PROCESSOR_MODEL_PRICES: 'a=1/1' }],
  ['two prices of one model', { PROCESSOR_MODEL_PRICES: 'a=1/1/1,a=2/2/2' }],
  ['cached input dearer than input', { PROCESSOR_MODEL_PRICES: 'a=1/2/1' }],
  ['a negative budget', { PROCESSOR_TENANT_DAY_BUDGETS: 'acme=-1' }],
  ['a budget without an end', { PROCESSOR_TENANT_DAY_BUDGETS: 'acme=Infinity' }],
  ['a budget in exponents', { PROCESSOR_WORKFLOW_DAY_BUDGETS: 'answer=1e3' }],
])('with %s are refused', (_what, env) => {
  expect(() => parsed(env)).toThrow(Object.keys(env)[0]);
});

it('let a process start whose workflows all have a price', () => {
  expect(() => requirePrices(workflows, parsed({}), now)).not.toThrow();
});

it('let none start with a model that nobody knows, and name the known ones', () => {
  const odd = new WorkflowCatalogue([{ ...workflows.latest('answer')!, model: 'gpt-99' }]);
  expect(() => requirePrices(odd, parsed({}), now)).toThrow(/gpt-99 costs; .*gpt-5\.2/);
  expect(() =>
    requirePrices(odd, parsed({ PROCESSOR_MODEL_PRICES: '*=9/9/9' }), now),
  ).not.toThrow();
});

it('let none start with a step that asks for a tier in which its model is not offered', () => {
  const answer = workflows.latest('answer')!;
  const inTier = (model: string, serviceTier: 'flex' | 'priority') => {
    const steps = answer.steps.map((step) => ({ ...step, serviceTier }));
    return new WorkflowCatalogue([{ ...answer, model, steps }]);
  };
  const start = (odd: WorkflowCatalogue, env = {}) => requirePrices(odd, parsed(env), now);
  expect(() => start(inTier('gpt-5-nano', 'priority'))).toThrow(/the priority tier of gpt-5-nano/);
  expect(() => start(inTier('gpt-5-nano', 'flex'))).not.toThrow();
  const own = { PROCESSOR_MODEL_PRICES: 'gpt-5-nano=1/1/1' };
  expect(() => start(inTier('gpt-5-nano', 'priority'), own)).not.toThrow();
});

it('let none start with a budget for a workflow that does not exist', () => {
  const money = parsed({ PROCESSOR_WORKFLOW_DAY_BUDGETS: 'anwser=1' });
  expect(() => requirePrices(workflows, money, now)).toThrow(/anwser.*answer/);
});
