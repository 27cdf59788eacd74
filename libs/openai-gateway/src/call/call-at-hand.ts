/** A call that is being carried through under one claim: what is asked for, for whom, with what, and with which account it goes now. */
import { runIdOf, type NanoUsd } from '#libs/domain';
import type { FieldLog } from '#libs/process';
import type { Account, Accounts } from '../accounts/accounts.js';
import type { CallFact } from '../classify/call-fact.js';
import { classifyFailure } from '../classify/classify-failure.js';
import type { Passage } from '../gate/passage.js';
import type { GatewayTiming, WebhookOptions } from '../gateway-options.js';
import type { CallLedger } from '../ledger/call-ledger.store.js';
import type { CallFailure, CallOwner, ModelCallOutcome, ModelCallRequest } from '../model-call.js';
import type { Budget } from '../money/budget.js';
import type { PriceTable } from '../money/price-table.js';
import type { ToldCalls } from '../told-calls.js';
import { CallAnchors } from './call-anchors.js';

export interface CallParts {
  readonly ledger: CallLedger;
  readonly accounts: Accounts;
  readonly timing: GatewayTiming;
  readonly log: FieldLog;
  /** null: nobody tells what became of an unknown call. */
  readonly webhooks: WebhookOptions | null;
  readonly told: ToldCalls;
  readonly passage: Passage;
  readonly prices: PriceTable;
  /** The most that one sending may cost; null: nobody knows, so nothing is sent. */
  readonly worstCost: NanoUsd | null;
  /** That have to cover it. */
  readonly budgets: readonly Budget[];
  /** OpenAI refused to tell of an accepted call: that fails no call, but says something of its lane. */
  readonly onPollRefused: (failure: CallFailure, account: string) => void;
}

/** What one thing that was done about a call came to. */
export type Step =
  | ModelCallOutcome
  | { readonly kind: 'look_again' }
  /** The outcome is still unknown, and it is not time yet. */
  | { readonly kind: 'waited' };

export const lookAgain: Step = { kind: 'look_again' };

export class CallAtHand {
  readonly anchors: CallAnchors;
  /** As the ledger has it, once it has been looked into. */
  #account: Account;

  constructor(
    readonly callId: string,
    readonly request: ModelCallRequest,
    readonly owner: CallOwner,
    readonly parts: CallParts,
  ) {
    this.#account = parts.accounts.first(request.model);
    this.anchors = new CallAnchors(callId, this.#account);
  }

  get account(): Account {
    return this.#account;
  }

  get mode(): ModelCallRequest['mode'] {
    return this.modeWith(this.#account);
  }

  /** An endpoint without background mode holds a request open instead. */
  modeWith(account: Account): ModelCallRequest['mode'] {
    return account.has('background') ? this.request.mode : 'foreground';
  }

  goWith(account: Account): void {
    this.anchors.goWith(account);
    this.#account = account;
    this.parts.passage.moveTo(account.name);
  }

  takeAnchor(): Promise<string | null> {
    return this.anchors.take({ ...this.request, mode: this.mode });
  }

  /** Null: it is still ours. */
  reasonNotToSend(): Step | null {
    if (this.owner.signal.aborted) return { kind: 'aborted' };
    return this.owner.isLeaseAlive() ? null : { kind: 'not_owner' };
  }

  classify(fact: CallFact): CallFailure {
    const { instructions, input } = this.request;
    return classifyFailure(fact, {
      nowMs: Date.now(),
      sentTexts: [this.#account.apiKey, instructions, input],
    });
  }

  logFailure(failure: CallFailure): void {
    const { message: reason, ...facts } = failure;
    const { callId, parts } = this;
    const [runId, account] = [runIdOf(this.request.runId), this.#account.name];
    parts.log.warn({ callId, runId, account, ...facts, reason }, 'model call failed');
  }
}
