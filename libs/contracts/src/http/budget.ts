import { ValidateBy } from 'class-validator';
import { parseUsd } from '#libs/domain';
import { pointerTo, rule } from './check-fields.js';

/** An object with `maxCostUsd` and nothing else: dollars in decimals, as text, more than zero. */
export function IsBudget(): PropertyDecorator {
  const mend =
    'Send {"maxCostUsd": "2.50"}: dollars as text, more than 0, with nine decimals at most.';
  return ValidateBy(
    { name: 'budget', validator: { validate: (value) => wrongInBudget(value).length === 0 } },
    rule('must be a budget in dollars', mend, wrongInBudget),
  );
}

/** A run that may spend nothing could never call the model. */
function wrongInBudget(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [''];
  const { maxCostUsd, ...others } = value as Record<string, unknown>;
  const unknown = Object.keys(others).map((name) => pointerTo(name));
  const limit = typeof maxCostUsd === 'string' ? parseUsd(maxCostUsd) : null;
  return limit === null || limit === 0n ? ['/maxCostUsd', ...unknown] : unknown;
}
