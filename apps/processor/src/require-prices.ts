import type { ServiceTier } from '#libs/domain';
import { PriceTable } from '#libs/openai-gateway';
import type { Workflow, WorkflowCatalogue } from '#libs/workflows';
import type { MoneySettings } from './money-settings.js';

/** Nobody knows what these models cost, or they are not offered in the tier that a step asks for. Terminal: mend settings or step. */
export class ModelPricesMissingError extends Error {
  override readonly name = 'ModelPricesMissingError';
  readonly code = 'model_prices_missing';
  constructor(missing: readonly string[], known: readonly string[]) {
    super(
      `nobody knows what ${missing.join(', ')} costs; set PROCESSOR_MODEL_PRICES. Known, but not in every tier: ${known.join(', ')}`,
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
  const missing = workflows.all().flatMap((workflow) => {
    const tiers = tiersOf(workflow).filter(
      (tier) => table.find(workflow.model, tier, nowMs) === null,
    );
    return tiers.map((tier) => (tier === 'default' ? '' : `the ${tier} tier of `) + workflow.model);
  });
  if (missing.length > 0)
    throw new ModelPricesMissingError([...new Set(missing)], table.knownModels());
  const names = workflows.names();
  const unknown = [...dayBudgets.workflows.keys()].filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new BudgetedWorkflowUnknownError(unknown, names);
}

/** Where a step names none, its calls go in the default one. */
const tiersOf = ({ steps }: Workflow): ServiceTier[] =>
  steps.map((step) => ('serviceTier' in step ? step.serviceTier : undefined) ?? 'default');
