/** Prices and budgets, as the environment says them. */
import { nanoUsd, parseUsd, ZERO_USD, type NanoUsd } from '#libs/domain';
import type { DayBudgets, PriceSettings, SettledPrice } from '#libs/openai-gateway';
import type { SettingReader } from '#libs/process';

export interface MoneySettings {
  readonly prices: PriceSettings;
  readonly dayBudgets: DayBudgets;
}

const PRICES = 'PROCESSOR_MODEL_PRICES';
const USD = String.raw`\d{1,9}(?:\.\d{1,9})?`;
const ONE_USD = new RegExp(`^${USD}$`);
const THREE_USD = new RegExp(`^${USD}/${USD}/${USD}$`);
/** Stands for every model that nobody knows. */
const ANY = '*';

export function moneySettings(read: SettingReader): MoneySettings {
  return {
    prices: priceSettings(read),
    dayBudgets: {
      tenants: budgets(read, 'PROCESSOR_TENANT_DAY_BUDGETS', 'tenant'),
      workflows: budgets(read, 'PROCESSOR_WORKFLOW_DAY_BUDGETS', 'workflow'),
    },
  };
}

function priceSettings(read: SettingReader): PriceSettings {
  const form = 'model=input/cached input/output in dollars per million tokens, none negative';
  const prices = new Map([...read.pairs(PRICES, form, THREE_USD)].map(priceOf));
  const contradicting = [...prices].filter(([, { input, cachedInput }]) => {
    return dollars(cachedInput) > dollars(input);
  });
  const names = contradicting.map(([model]) => model).join(', ');
  if (names !== '') read.refuse(PRICES, `has cached input dearer than input for ${names}`);
  const unknownModels = prices.get(ANY) ?? null;
  prices.delete(ANY);
  return { prices, unknownModels };
}

function priceOf([model, text]: readonly [string, string]): [string, SettledPrice] {
  const [input = '', cachedInput = '', output = ''] = text.split('/');
  return [model, { input, cachedInput, output }];
}

function budgets(read: SettingReader, setting: string, what: string): ReadonlyMap<string, NanoUsd> {
  const form = `${what}=dollars per UTC day, 0 for nothing at all, none negative`;
  const found = read.pairs(setting, form, ONE_USD);
  return new Map([...found].map(([name, text]) => [name, nanoUsd(dollars(text))]));
}

/** What does not fit the form is refused already. */
const dollars = (text: string): bigint => parseUsd(text) ?? ZERO_USD;
