import { PriceTable } from '#libs/openai-gateway';
import type { WorkflowCatalogue } from '#libs/workflows';
import type { MoneySettings } from './money-settings.js';

/** Nobody knows what these models cost, so they must not be called. Terminal: mend the settings. */
export class ModelPricesMissingError extends Error {
  override readonly name = 'ModelPricesMissingError';
  readonly code = 'model_prices_missing';
  constructor(missing: readonly string[], known: readonly string[]) {
    super(
      `nobody knows what ${missing.join(', ')} costs; set PROCESSOR_MODEL_PRICES. Known: ${known.join(', ')}`,
    );
  }
}

/** A budget for a workflow that does not exist would hold nothing back. Terminal: mend the setting. */
export class BudgetedWorkflowUnknownError extends Error {
  override readonly name = 'BudgetedWorkflowUnknownError';
  readonly code = 'budgeted_workflow_unknown';
  constructor(unknown: readonly string[], known: readonly string[]) {
    super(
      `PROCESSOR_WORKFLOW_DAY_BUDGETS names ${unknown.join(', ')}, which does not exist. Known: ${known.join(', ')}`,
    );
  }
}

/** @throws ModelPricesMissingError, BudgetedWorkflowUnknownError */
export function requirePrices(
  workflows: WorkflowCatalogue,
  { prices, dayBudgets }: MoneySettings,
  nowMs: number,
): void {
  const table = new PriceTable(prices);
  const models = new Set(workflows.all().map(({ model }) => model));
  const missing = [...models].filter((model) => table.find(model, 'default', nowMs) === null);
  if (missing.length > 0) throw new ModelPricesMissingError(missing, table.knownModels());
  const names = workflows.names();
  const unknown = [...dayBudgets.workflows.keys()].filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new BudgetedWorkflowUnknownError(unknown, names);
}
