import { IsObject, IsOptional, Matches } from 'class-validator';
import type { DecisionId, DecisionName, RunId } from '#libs/domain';
import type { BudgetPart } from '../messages/money-parts.js';
import { IsBudget } from './budget.js';
import { rule } from './check-fields.js';

/** Why somebody decided so: text on one line (a text column refuses U+0000). */
export const REASON = {
  pattern: /^[^\p{Cc}\p{Cs}]{1,500}$/u,
  rule: rule(
    'must be one line of text',
    'Say why in 1 to 500 characters without control characters.',
  ),
};

/** Body of `POST /v1/runs/{id}/cancel`; it may be left out. */
export class DecideRunBody {
  /** Why; kept with the decision. */
  @IsOptional()
  @Matches(REASON.pattern, REASON.rule)
  reason?: string | null;
}

/** Body of `POST /v1/runs/{id}/redrive`; it may be left out. */
export class RedriveRunBody extends DecideRunBody {
  /** Takes the place of the run's budget; what is spent stays spent. Absent: the budget stays as it is. */
  @IsOptional()
  @IsBudget()
  budget?: BudgetPart | null;
}

/** Body of `POST /v1/runs/{id}/discard`. */
export class DiscardRunBody {
  /** Why the run is given up; kept with the decision. */
  @Matches(REASON.pattern, REASON.rule)
  reason!: string;
}

/** Body of `POST /v1/runs/{id}/complete`. The output contract of the run's workflow checks `result` further. */
export class CompleteRunBody extends DecideRunBody {
  /** What the run shall have come to. */
  @IsObject(rule('must be a JSON object', "Send the result as the workflow's contract has it."))
  result!: Record<string, unknown>;
}

/** Asked for; carried out; or found to be too late or not possible. */
export const decisionStates = ['pending', 'applied', 'refused'] as const;
export type DecisionState = (typeof decisionStates)[number];

/** What a decision is answered with: it is on its way, and the run's view and events say what becomes of it. */
export interface DecisionReceipt {
  readonly decisionId: DecisionId;
  readonly runId: RunId;
  readonly decision: DecisionName;
  readonly state: DecisionState;
  readonly links: { readonly run: string; readonly decisions: string };
}

/** One decision of a run, for support. */
export interface DecisionView {
  readonly id: DecisionId;
  readonly decision: DecisionName;
  readonly state: DecisionState;
  /** Why somebody decided so; null where no reason was given. */
  readonly reason: string | null;
  /** Why it was refused; null where it was not. */
  readonly refusal: { readonly code: string; readonly reason: string } | null;
  readonly decidedAt: string;
  /** When it was applied or refused. */
  readonly answeredAt: string | null;
}

/** What `GET /v1/runs/{id}/decisions` answers, oldest first. */
export interface RunDecisions {
  readonly decisions: readonly DecisionView[];
}
