/** One model call being carried through under one claim: look into the ledger, decide, do one thing, look again. */
import { runIdOf, type NanoUsd } from '#libs/domain';
import { pauseAt } from '#libs/pause-points';
import type { FieldLog } from '#libs/process';
import type { Account, Accounts } from './accounts/accounts.js';
import { mayFailOver } from './accounts/decide-failover.js';
import { classifyFailure } from './classify/classify-failure.js';
import { pollFaultOf } from './classify/poll-faults.js';
import type { CallFact } from './classify/call-fact.js';
import type { Passage } from './gate/passage.js';
import type { GatewayTiming, WebhookOptions } from './gateway-options.js';
import type { CallLedger, Opening, Sending } from './ledger/call-ledger.store.js';
import { type CallDecision, decideCall } from './ledger/decide-call.js';
import type { CallFailure, CallOwner, ModelCallOutcome, ModelCallRequest } from './model-call.js';
import { budgetFailure, unpricedFailure, type Budget } from './money/budget.js';
import { costOfEnd, type Bill } from './money/cost-of-end.js';
import type { PriceTable } from './money/price-table.js';
import { buildRequest } from './openai/build-request.js';
import { followResponse, pause, type FollowEnd } from './openai/follow-response.js';
import type { AnsweredExchange, Exchange } from './openai/exchange.js';
import { nextPollMs } from './openai/poll-schedule.js';
import { readResponse, type ResponseReading } from './openai/read-response.js';
import type { ToldCalls } from './told-calls.js';

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

type Step =
  | ModelCallOutcome
  | { readonly kind: 'look_again' }
  /** The outcome is still unknown, and it is not time yet. */
  | { readonly kind: 'waited' };
const lookAgain: Step = { kind: 'look_again' };

/** Sendings of one call at most where `whenUnknown` is `resend`. */
const maxSendings = 3;
/** Every round ends a state of the ledger; more rounds than states and sendings can only be a bug. */
const maxRounds = 12;
/** What Node's timers can count. */
const maxTimerMs = 2_147_483_647;

export class CallInProgress {
  /** Looks into the ledger while the outcome was unknown. */
  #looks = 0;
  #endOfWait: (() => void) | undefined;
  /** As the ledger has it, once it has been looked into. */
  #account: Account;

  constructor(
    private readonly callId: string,
    private readonly request: ModelCallRequest,
    private readonly owner: CallOwner,
    private readonly parts: CallParts,
  ) {
    this.#account = parts.accounts.first(request.model);
  }

  async carryThrough(): Promise<ModelCallOutcome> {
    let outcome: ModelCallOutcome | null = null;
    try {
      return (outcome = await this.#untilOutcome());
    } finally {
      this.parts.passage.leave(outcome);
      this.#endOfWait?.();
    }
  }

  async #untilOutcome(): Promise<ModelCallOutcome> {
    for (let round = 0; round < maxRounds;) {
      const step = await this.#round();
      if (step.kind === 'waited') continue; // it ends by the ledger's own clock
      if (step.kind !== 'look_again') return step;
      round += 1;
    }
    throw new CallUnsettledError(this.callId);
  }

  async #round(): Promise<Step> {
    const { callId, owner, request } = this;
    const { fence } = owner;
    const { call, maySend } = await this.#open();
    this.#goWith(this.parts.accounts.of(call.account));
    if (maySend) return this.#post({ callId, fence, from: 'planned', attempt: 1 });
    const { whenUnknown } = request;
    const toldWithinMs = this.#toldWithinMs();
    return this.#act(decideCall(call, { fence, whenUnknown, maxSendings, toldWithinMs }));
  }

  /** A webhook comes when the response ends, and only for background responses. */
  #toldWithinMs(): number {
    const { webhooks } = this.parts;
    if (webhooks === null || this.#mode !== 'background' || !this.#account.has('webhooks'))
      return 0;
    return this.request.callTimeoutMs + webhooks.graceMs;
  }

  get #mode(): ModelCallRequest['mode'] {
    return modeWith(this.#account, this.request);
  }

  /** New calls that may leave at once are made ready for it in the same statement. Budgets are asked when it comes to sending. */
  async #open(): Promise<Opening> {
    const first = this.parts.accounts.first(this.request.model);
    const ours = { callId: this.callId, fence: this.owner.fence, account: first.name };
    const call = { ...this.request, ...ours, mode: modeWith(first, this.request) };
    const { ledger, passage, worstCost, budgets } = this.parts;
    pauseAt('call.opening');
    const isFree = worstCost !== null && budgets.length === 0;
    if (isFree && this.#reasonNotToSend() === null && passage.tryEnter())
      return ledger.openSending(call, worstCost);
    return { call: await ledger.open(call), maySend: false };
  }

  async #act(decision: CallDecision): Promise<Step> {
    const { callId } = this;
    switch (decision.kind) {
      case 'not_owner':
        return { kind: 'not_owner' };
      case 'stopped':
        return { kind: 'stopped' };
      case 'failed':
        return { kind: 'failed', callId, failure: decision.failure };
      case 'reuse': {
        const { output, usage, responseId, requestId, servedModel: model } = decision.call;
        return {
          kind: 'completed',
          callId,
          output,
          usage,
          responseId,
          requestId,
          model,
          reused: true,
        };
      }
      case 'mark_unknown': {
        const failure = this.#classify({ kind: 'sender_died' });
        this.#logFailure(failure);
        const { attempt } = decision;
        const lost = { state: 'unknown', usage: null, cost: null } as const;
        await this.parts.ledger.end({ ...lost, callId, attempt, failure });
        return lookAgain;
      }
      case 'await_webhook':
        return this.#awaitWebhook(decision.leftMs);
      case 'send':
        return this.#send({ callId, ...decision, fence: this.owner.fence });
      case 'pick_up':
        return this.#follow(decision.responseId, null, decision.sentAgoMs);
    }
  }

  /** Until this process is told, or it is time to look: another process may have been told. */
  async #awaitWebhook(leftMs: number): Promise<Step> {
    const { told, timing } = this.parts;
    const { owner } = this;
    this.#endOfWait ??= owner.onOutcomeUnknown?.(leftMs);
    const policy = { firstMs: timing.firstPollMs, maxMs: timing.maxPollMs };
    const facts = { polls: this.#looks++, askedMs: null, random: Math.random() };
    await told.wait(this.callId, Math.min(nextPollMs(facts, policy), leftMs), owner.signal);
    return this.#reasonNotToSend() ?? { kind: 'waited' };
  }

  async #send(sending: Sending): Promise<Step> {
    const { passage, timing } = this.parts;
    if (sending.from === 'unknown')
      await pause(
        timing.resendPauseMs * (sending.attempt - 1) * (1 + Math.random()),
        this.owner.signal,
      );
    const shut = await passage.enter(this.owner.signal);
    const isLatched = shut?.kind === 'parked' && shut.reason === 'outage';
    if (isLatched && sending.from === 'planned' && (await this.#reroute(null))) return lookAgain;
    const before = this.#reasonNotToSend() ?? shut;
    if (before !== null) return before;
    return (await this.#payable(sending)) ?? this.#post(sending);
  }

  /** Null: it is marked as being sent, and what it may cost is reserved. */
  async #payable(sending: Sending): Promise<Step | null> {
    const { ledger, worstCost: reserved, budgets, prices } = this.parts;
    const { model, budget } = this.request;
    if (reserved === null) return this.#refuse(unpricedFailure(model, prices.knownModels()));
    if (budgets.length === 0)
      return (await ledger.markSending(sending, reserved)) ? null : lookAgain;
    const { callId, from, fence, attempt } = sending;
    const within = await ledger.markSendingWithin({
      ...{ callId, from, fence, attempt, reserved, budgets },
    });
    switch (within.kind) {
      case 'reserved':
        return null;
      case 'not_ours':
        return lookAgain;
      case 'refused':
        return this.#refuse(budgetFailure(within, reserved, budget.triesByPolicy));
    }
  }

  /** By us: the ledger keeps it as it is, and it can be sent once there is money. */
  #refuse(failure: CallFailure): Step {
    this.#logFailure(failure);
    return { kind: 'failed', callId: this.callId, failure };
  }

  /** The ledger says that it is being sent. */
  async #post(sending: Sending): Promise<Step> {
    const { ledger, passage } = this.parts;
    const { endpoint } = this.#account;
    const asked = { ...this.request, mode: this.#mode };
    const body = buildRequest(asked, this.callId, sending.attempt);
    const after = this.#reasonNotToSend(); // (G1)
    if (after !== null) {
      await ledger.putBack(sending);
      return after;
    }
    pauseAt('call.sending');
    passage.sent();
    const sentAtMs = performance.now();
    const exchange = await endpoint.create(body, { timeoutMs: this.#postTimeoutMs() }); // (G2)
    pauseAt('call.replied');
    passage.answered(exchange);
    return this.#takeReply(exchange, sending, sentAtMs);
  }

  #reasonNotToSend(): Step | null {
    if (this.owner.signal.aborted) return { kind: 'aborted' };
    return this.owner.isLeaseAlive() ? null : { kind: 'not_owner' };
  }

  #postTimeoutMs(): number {
    const { callTimeoutMs } = this.request;
    const { requestTimeoutMs } = this.parts.timing;
    const limitMs =
      this.#mode === 'background' ? Math.min(requestTimeoutMs, callTimeoutMs) : callTimeoutMs;
    return Math.max(1, Math.min(maxTimerMs, Math.ceil(limitMs)));
  }

  async #takeReply(exchange: Exchange, sending: Sending, sentAtMs: number): Promise<Step> {
    if (exchange.kind !== 'answered') return this.#endSending(exchange, sending);
    if (this.#mode === 'background') return this.#accept(exchange, sentAtMs);
    const reading = readResponse(exchange.response, exchange.requestId);
    if (reading.kind !== 'pending')
      return this.#settle(exchange.response.id, {
        ...{ kind: 'ended', reading, requestId: exchange.requestId, pastDeadline: false },
      });
    return this.#endSending(
      {
        kind: 'no_answer',
        requestLeft: true,
        cause: 'not_ended',
        httpStatus: 200,
        requestId: exchange.requestId,
      },
      sending,
    );
  }

  /** The sending came to nothing, or nobody knows to what. */
  async #endSending(fact: CallFact, { attempt }: Sending): Promise<Step> {
    const { callId } = this;
    const failure = this.#classify(fact);
    const state = failure.class === 'outcome_unknown' ? 'unknown' : 'failed';
    this.#logFailure(failure);
    if (attempt === 1 && mayFailOver(failure) && (await this.#reroute(failure))) return lookAgain;
    const cost = this.#costOf(null, failure);
    const ended = await this.parts.ledger.end({
      state,
      callId,
      attempt,
      failure,
      usage: null,
      cost,
    });
    return ended && state === 'failed' ? { kind: 'failed', callId, failure } : lookAgain;
  }

  /** False: there is no other account for it, or it is no longer ours to send. */
  async #reroute(refused: CallFailure | null): Promise<boolean> {
    const { callId, request, owner, parts } = this;
    const next = parts.accounts.after(request.model, this.#account.name);
    if (next === null) return false;
    const mode = modeWith(next, request);
    const rerouting = { callId, fence: owner.fence, account: next.name, mode };
    if (!(await parts.ledger.reroute(rerouting))) return false;
    if (refused !== null) parts.passage.refused(refused);
    this.#goWith(next);
    return true;
  }

  #goWith(account: Account): void {
    this.#account = account;
    this.parts.passage.moveTo(account.name);
  }

  async #accept(answer: AnsweredExchange, sentAtMs: number): Promise<Step> {
    const { callId } = this;
    const { id: responseId } = answer.response;
    const { ledger, log, timing } = this.parts;
    const { endpoint } = this.#account;
    const held = await ledger.markAccepted({ callId, responseId, requestId: answer.requestId }); // (G3)
    pauseAt('call.accepted');
    if (held === responseId) return this.#follow(responseId, answer, performance.now() - sentAtMs);
    log.warn({ callId, responseId, held }, 'another sending of this call was accepted first');
    await endpoint.cancel(responseId, { timeoutMs: timing.requestTimeoutMs });
    return lookAgain;
  }

  async #follow(
    responseId: string,
    firstAnswer: AnsweredExchange | null,
    sentAgoMs: number,
  ): Promise<Step> {
    const { timing, log } = this.parts;
    const { endpoint } = this.#account;
    const { callId } = this;
    const sentAtMs = performance.now() - sentAgoMs;
    const end = await followResponse(
      {
        responseId,
        firstAnswer,
        deadlineAtMs: sentAtMs + this.request.callTimeoutMs,
        queuedDeadlineAtMs: sentAtMs + timing.queuedTimeoutMs,
        signal: this.owner.signal,
      },
      {
        endpoint,
        policy: { ...timing, firstMs: timing.firstPollMs, maxMs: timing.maxPollMs },
        monotonicMs: () => performance.now(),
        random: Math.random,
        onPollFault: (fault) => {
          const { kind, requestId } = fault;
          const what =
            fault.kind === 'refused' ? { httpStatus: fault.status } : { cause: fault.cause };
          log.debug({ callId, responseId, requestId, kind, ...what }, 'poll fault');
          if (pollFaultOf(fault).breaker === 'latch_account')
            this.parts.onPollRefused(this.#classify(fault), this.#account.name);
        },
      },
    );
    return this.#settle(responseId, end);
  }

  async #settle(responseId: string, end: FollowEnd): Promise<Step> {
    const { callId } = this;
    if (end.kind === 'aborted') return { kind: 'aborted' };
    const ids = { responseId, requestId: end.requestId };
    if (end.kind === 'cancel_unconfirmed') {
      // Stays accepted: whoever asks again looks it up by its id.
      const failure = this.#classify({ kind: 'deadline_passed', cancelConfirmed: false, ...ids });
      this.#logFailure(failure);
      return { kind: 'failed', callId, failure };
    }
    if (end.kind === 'gone')
      return this.#endResponse('failed', { kind: 'response_gone', ...ids }, null, null);
    const { reading, pastDeadline } = end;
    switch (reading.kind) {
      case 'completed':
        return this.#complete(reading, responseId, end.requestId);
      case 'ended_badly':
        return this.#endResponse('failed', reading.fact, reading.usage, reading.bill);
      case 'cancelled':
        return this.#endResponse(
          'cancelled',
          pastDeadline
            ? { kind: 'deadline_passed', cancelConfirmed: true, ...ids }
            : { kind: 'cancelled_elsewhere', ...ids },
          null,
          null,
        );
    }
  }

  async #complete(
    { output, usage, model, bill }: Extract<ResponseReading, { kind: 'completed' }>,
    responseId: string,
    requestId: string | null,
  ): Promise<Step> {
    const { callId } = this;
    const ids = { callId, responseId, requestId };
    const stored = await this.parts.ledger.end({
      state: 'done',
      ...ids,
      servedModel: model,
      output,
      usage,
      cost: this.#costOf(bill, null),
    });
    return stored ? { kind: 'completed', ...ids, output, usage, model, reused: false } : lookAgain;
  }

  async #endResponse(
    state: 'failed' | 'cancelled',
    fact: CallFact,
    usage: Extract<ResponseReading, { kind: 'ended_badly' }>['usage'],
    bill: Bill | null,
  ): Promise<Step> {
    const { callId } = this;
    const failure = this.#classify(fact);
    this.#logFailure(failure);
    const cost = this.#costOf(bill, failure);
    const end = { state, callId, attempt: null, failure, usage, cost };
    const ended = await this.parts.ledger.end(end);
    return ended ? { kind: 'failed', callId, failure } : lookAgain;
  }

  #costOf(bill: Bill | null, failure: CallFailure | null): NanoUsd | null {
    return costOfEnd(bill, failure, this.request.model, this.parts.prices);
  }

  #logFailure(failure: CallFailure): void {
    const { callId, request } = this;
    const { message: reason, ...facts } = failure;
    const runId = runIdOf(request.runId);
    const account = this.#account.name;
    this.parts.log.warn({ callId, runId, account, ...facts, reason }, 'model call failed');
  }

  #classify(fact: CallFact): CallFailure {
    const { instructions, input } = this.request;
    return classifyFailure(fact, {
      nowMs: Date.now(),
      sentTexts: [this.#account.apiKey, instructions, input],
    });
  }
}

/** An endpoint without background mode holds a request open instead. */
const modeWith = (account: Account, { mode }: ModelCallRequest): ModelCallRequest['mode'] =>
  account.has('background') ? mode : 'foreground';

export class CallUnsettledError extends Error {
  override readonly name = 'CallUnsettledError';
  readonly code = 'call_unsettled';
  constructor(callId: string) {
    super(`call ${callId} changed in the ledger ${maxRounds} times without coming to an outcome`);
  }
}
