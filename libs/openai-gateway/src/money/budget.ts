/** Which budgets a call is counted in, and whether they cover it. Pure. */
import { addUsd, nanoUsd, printUsd, ZERO_USD, type NanoUsd } from '#libs/domain';
import type { CallFailure, ModelCallRequest } from '../model-call.js';

/** Per UTC day. A name that is not in the map has no budget; 0: nothing may be spent. */
export interface DayBudgets {
  readonly tenants: ReadonlyMap<string, NanoUsd>;
  readonly workflows: ReadonlyMap<string, NanoUsd>;
}

export interface Budget {
  readonly scope: 'run' | 'tenant' | 'workflow';
  /** Of the run (bare UUID), tenant or workflow. */
  readonly name: string;
  readonly limit: NanoUsd;
}

export function budgetsOf(
  { runId, tenant, budget }: Pick<ModelCallRequest, 'runId' | 'tenant' | 'budget'>,
  days: DayBudgets,
): Budget[] {
  const { workflow, runLimit } = budget;
  const tenantLimit = days.tenants.get(tenant);
  const workflowLimit = days.workflows.get(workflow);
  return [
    ...(runLimit === null ? [] : [{ scope: 'run', name: runId, limit: runLimit } as const]),
    ...(tenantLimit === undefined
      ? []
      : [{ scope: 'tenant', name: tenant, limit: tenantLimit } as const]),
    ...(workflowLimit === undefined
      ? []
      : [{ scope: 'workflow', name: workflow, limit: workflowLimit } as const]),
  ];
}

/** Its row in `processor.budgets`. @param day the UTC day, by the database's clock */
export function keyOf({ scope, name }: Budget, day: string): string {
  return scope === 'run' ? `run/${name}` : `${scope}/${day}/${name}`;
}

export interface BudgetRefusal {
  readonly budget: Budget;
  readonly left: NanoUsd;
}

export interface WantedReservation {
  readonly amount: NanoUsd;
  readonly budgets: readonly (Budget & { readonly key: string })[];
}

/**
 * First come, first served, in the order given: what an earlier one takes is gone for a later one.
 * @param spent by key, with all that is reserved or uncertain
 * @returns for each whether all its budgets cover it, or the one that covers least
 */
export function decideReservations(
  wanted: readonly WantedReservation[],
  spent: ReadonlyMap<string, NanoUsd>,
): ('reserved' | BudgetRefusal)[] {
  const taken = new Map(spent);
  return wanted.map(({ amount, budgets }) => {
    const short = budgets
      .map((budget) => ({ budget, left: leftOf(budget, taken.get(budget.key) ?? ZERO_USD) }))
      .filter(({ left }) => left < amount)
      .toSorted((a, b) => (a.left < b.left ? -1 : 1));
    if (short[0]) return short[0];
    for (const { key } of budgets) taken.set(key, addUsd(taken.get(key) ?? ZERO_USD, amount));
    return 'reserved';
  });
}

/** A limit may have been lowered below what is spent. */
const leftOf = ({ limit }: Budget, spent: NanoUsd): NanoUsd =>
  spent >= limit ? ZERO_USD : nanoUsd(limit - spent);

/** For support: the sum, what is left, and how many tries the money is for. */
export function budgetFailure(
  { budget: { scope, limit }, left }: BudgetRefusal,
  cost: NanoUsd,
  triesByPolicy: number,
): CallFailure {
  const whose = { run: "the run's budget", tenant: "the tenant's budget for the day" } as const;
  const name = scope === 'workflow' ? "the workflow's budget for the day" : whose[scope];
  const tries = cost === 0n ? triesByPolicy : limit / cost;
  return ownFailure(
    'budget_exceeded',
    `${scope}_budget`,
    `This call costs up to $${printUsd(cost)}; $${printUsd(left)} of ${name} of $${printUsd(limit)} is left. ` +
      `Tries of this call: ${triesByPolicy} allowed by policy, ${tries} by budget. Nothing was sent.`,
  );
}

export const unpricedFailure = (model: string, known: readonly string[]): CallFailure =>
  ownFailure(
    'configuration',
    'model_price_unknown',
    `Nobody knows what the model "${model}" costs, so it is not called. Known: ${known.join(', ')}; settings can add it.`,
  );

const ownFailure = (
  failureClass: CallFailure['class'],
  code: string,
  message: string,
): CallFailure => ({
  ...{ class: failureClass, code, message, paid: 'no', breaker: 'none' },
  ...{ httpStatus: null, requestId: null, responseId: null, retryAfterMs: null },
});
