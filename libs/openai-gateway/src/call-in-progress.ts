/** One model call being carried through under one claim: look into the ledger, decide, do one thing, look again. */
import { runIdOf, type NanoUsd } from '#libs/domain';
import { pauseAt } from '#libs/pause-points';
import type { FieldLog } from '#libs/process';
import type { Account, Accounts } from './accounts/accounts.js';
import { mayFailOver } from './accounts/decide-failover.js';
import { type AnchorLook, type AnchorWord, lookAtAnchor } from './anchors/look-at-anchor.js';
import { classifyFailure } from './classify/classify-failure.js';
import { pollFaultOf } from './classify/poll-faults.js';
import type { CallFact } from './classify/call-fact.js';
import type { Passage } from './gate/passage.js';
import type { GatewayTiming, WebhookOptions } from './gateway-options.js';
import type { CallLedger, Opening, Sending } from './ledger/call-ledger.store.js';
import { type CallDecision, decideCall } from './ledger/decide-call.js';
import type {
  CallFailure,
  CallOwner,
  ModelCallOutcome,
  ModelCallRequest,
  ModelOutput,
  Usage,
} from './model-call.js';
import { budgetFailure, unpricedFailure, type Budget } from './money/budget.js';
import { costOfEnd, type Bill } from './money/cost-of-end.js';
import { estimateUsage } from './money/estimate-tokens.js';
import type { PriceTable } from './money/price-table.js';
import { buildRequest } from './openai/build-request.js';
import { followResponse, pause, type FollowEnd } from './openai/follow-response.js';
import type { AnsweredExchange, Exchange } from './openai/exchange.js';
import { nextPollMs } from './openai/poll-schedule.js';
import { readResponse } from './openai/read-response.js';
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
const maxRounds = 16;
/** A response that OpenAI no longer has: so often its anchor is asked for the answer. */
const goneLooks = 3;
/** What Node's timers can count. */
const maxTimerMs = 2_147_483_647;

export class CallInProgress {
  /** Looks into the ledger while the outcome was unknown. */
  #looks = 0;
  /** Looks at the anchor after the call's own time was over. */
  #lateLooks = 0;
  /** An anchor of the account that was taken and has not been used. */
  #spare: string | null = null;
  #isOpened = false;
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
      this.#returnSpare();
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
    const { anchor } = call;
    if (maySend) return this.#post({ callId, fence, from: 'planned', attempt: 1, anchor });
    const { whenUnknown, callTimeoutMs } = request;
    const { anchorGraceMs: graceMs, anchorSettleMs: settleMs } = this.parts.timing;
    const anchors = { callTimeoutMs, graceMs, settleMs, lateLooks: this.#lateLooks };
    const toldWithinMs = this.#toldWithinMs();
    const decision = decideCall(call, { fence, whenUnknown, maxSendings, toldWithinMs, anchors });
    return this.#act(decision, anchor);
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
    const isNew = !this.#isOpened;
    this.#isOpened = true;
    const isFree = worstCost !== null && budgets.length === 0;
    if (isNew && isFree && this.#reasonNotToSend() === null && passage.tryEnter()) {
      const anchor = await this.#takeAnchor();
      const opening = await ledger.openSending(call, worstCost, anchor);
      if (!opening.maySend) this.#spare = anchor;
      return opening;
    }
    return { call: await ledger.open(call), maySend: false };
  }

  /** From now on it belongs to the sending that it is taken for. */
  async #takeAnchor(): Promise<string | null> {
    const spare = this.#spare;
    this.#spare = null;
    const call = { ...this.request, mode: this.#mode };
    return spare ?? this.#account.anchors?.take(call) ?? null;
  }

  /** @param anchor of the call's row */
  async #act(decision: CallDecision, anchor: string | null): Promise<Step> {
    const { callId } = this;
    switch (decision.kind) {
      case 'not_owner':
        return { kind: 'not_owner' };
      case 'stopped':
        return { kind: 'stopped' };
      case 'failed':
        return { kind: 'failed', callId, failure: decision.failure };
      case 'reuse': {
        this.#removeAnchor(anchor);
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
      case 'ask_anchor':
        return this.#askAnchor(decision, decision);
      case 'await_webhook':
        return this.#awaitWebhook(decision.leftMs);
      case 'send':
        return this.#send({ callId, ...decision, fence: this.owner.fence }, anchor);
      case 'pick_up':
        return this.#follow(decision.responseId, null, decision.sentAgoMs, anchor);
    }
  }

  async #askAnchor(
    look: AnchorLook,
    { attempt, leftMs }: { readonly attempt: number; readonly leftMs: number },
  ): Promise<Step> {
    const { callId } = this;
    const { anchor, mayDelete } = look;
    if (mayDelete) this.#lateLooks += 1;
    const word = await this.#look(look);
    if (word.kind === 'answer' || word.kind === 'part')
      return this.#takeFromAnchor(word, { attempt, anchor, responseId: null });
    if (word.kind === 'never_taken') {
      await this.parts.ledger.fence({ callId, attempt, anchor });
      this.parts.log.info({ callId, anchor }, 'a lost call never ran, and its anchor is deleted');
      return lookAgain;
    }
    return this.#awaitWebhook(Math.max(0, leftMs));
  }

  #look(look: AnchorLook): Promise<AnchorWord> {
    const { endpoint } = this.#account;
    const timeoutMs = this.parts.timing.requestTimeoutMs;
    return lookAtAnchor(look, { endpoint, timeoutMs, monotonicMs: () => performance.now() });
  }

  async #takeFromAnchor(
    word: Extract<AnchorWord, { kind: 'answer' | 'part' }>,
    sent: {
      readonly attempt: number | null;
      readonly anchor: string;
      readonly responseId: string | null;
    },
  ): Promise<Step> {
    const { anchor, attempt, responseId } = sent;
    const ids = { responseId, requestId: null };
    const text = word.kind === 'part' ? word.text : word.output.text;
    const usage = await estimateUsage(this.request, text);
    const found = { attempt, usage, bill: null, estimated: true };
    this.parts.log.info({ callId: this.callId, anchor }, 'the answer to a lost call was found');
    if (word.kind === 'answer') {
      const { model } = this.request;
      return this.#complete({ ...ids, ...found, output: word.output, model }, anchor);
    }
    const fact = { kind: 'incomplete_response', reason: null, ...ids } as const;
    return this.#endResponse('failed', fact, found, anchor);
  }

  /** Its call has ended: nobody will ask it any more. */
  #removeAnchor(anchor: string | null): void {
    if (anchor !== null) this.#account.anchors?.remove({ callId: this.callId, anchor });
  }

  /** Until this process is told, or it is time to look: another process may have been told. */
  async #awaitWebhook(leftMs: number): Promise<Step> {
    const { told, timing } = this.parts;
    const { owner } = this;
    this.#endOfWait ??= owner.onOutcomeUnknown?.(leftMs);
    const policy = { firstMs: timing.firstPollMs, maxMs: timing.maxPollMs };
    const facts = { polls: this.#looks++, askedMs: null, random: Math.random() };
    const waitMs =
      leftMs > 0 ? Math.min(nextPollMs(facts, policy), leftMs) : nextPollMs(facts, policy);
    await told.wait(this.callId, waitMs, owner.signal);
    return this.#reasonNotToSend() ?? { kind: 'waited' };
  }

  /** @param before the anchor of the sending before */
  async #send(wanted: Sending, before: string | null): Promise<Step> {
    const { passage, timing } = this.parts;
    if (wanted.from === 'unknown')
      await pause(
        timing.resendPauseMs * (wanted.attempt - 1) * (1 + Math.random()),
        this.owner.signal,
      );
    const shut = await passage.enter(this.owner.signal);
    const isLatched = shut?.kind === 'parked' && shut.reason === 'outage';
    if (isLatched && wanted.from === 'planned' && (await this.#reroute(null, before)))
      return lookAgain;
    const reason = this.#reasonNotToSend() ?? shut;
    if (reason !== null) return reason;
    const anchor = wanted.anchor ?? (await this.#takeAnchor());
    const sending = { ...wanted, anchor };
    const refusal = await this.#payable(sending);
    if (refusal !== null) {
      if (anchor !== wanted.anchor) this.#spare = anchor;
      return refusal;
    }
    if (before !== anchor) this.#removeAnchor(before); // refuses the sending before, should it still come
    return this.#post(sending);
  }

  /** Null: it is marked as being sent, and what it may cost is reserved. */
  async #payable(sending: Sending): Promise<Step | null> {
    const { ledger, worstCost: reserved, budgets, prices } = this.parts;
    const { model, budget } = this.request;
    if (reserved === null) return this.#refuse(unpricedFailure(model, prices.knownModels()));
    if (budgets.length === 0)
      return (await ledger.markSending(sending, reserved)) ? null : lookAgain;
    const within = await ledger.markSendingWithin({ ...sending, reserved, budgets });
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
    const body = buildRequest(asked, this.callId, sending.attempt, sending.anchor);
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
    if (exchange.kind !== 'answered') return this.#endSending(onAnchor(exchange, sending), sending);
    if (this.#mode === 'background') return this.#accept(exchange, sentAtMs, sending.anchor);
    const reading = readResponse(exchange.response, exchange.requestId);
    if (reading.kind !== 'pending')
      return this.#settle(
        exchange.response.id,
        { ...{ kind: 'ended', reading, requestId: exchange.requestId, pastDeadline: false } },
        sending.anchor,
      );
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
  async #endSending(fact: CallFact, { attempt, anchor }: Sending): Promise<Step> {
    const { callId } = this;
    const failure = this.#classify(fact);
    const state = failure.class === 'outcome_unknown' ? 'unknown' : 'failed';
    this.#logFailure(failure);
    if (state === 'unknown') this.parts.passage.lost(failure);
    if (attempt === 1 && mayFailOver(failure) && (await this.#reroute(failure, anchor)))
      return lookAgain;
    const cost = this.#costOf(null, failure);
    const end = { state, callId, attempt, failure, usage: null, cost } as const;
    const ended = await this.parts.ledger.end(end);
    if (!ended || state !== 'failed') return lookAgain;
    this.#removeAnchor(anchor);
    return { kind: 'failed', callId, failure };
  }

  /**
   * False: there is no other account for it, or it is no longer ours to send.
   * @param anchor of the account before, where nothing was left on it
   */
  async #reroute(refused: CallFailure | null, anchor: string | null): Promise<boolean> {
    const { callId, request, owner, parts } = this;
    const next = parts.accounts.after(request.model, this.#account.name);
    if (next === null) return false;
    const mode = modeWith(next, request);
    const rerouting = { callId, fence: owner.fence, account: next.name, mode };
    if (!(await parts.ledger.reroute(rerouting))) return false;
    if (refused !== null) parts.passage.refused(refused);
    this.#removeAnchor(anchor);
    this.#goWith(next);
    return true;
  }

  #goWith(account: Account): void {
    if (account !== this.#account) this.#returnSpare();
    this.#account = account;
    this.parts.passage.moveTo(account.name);
  }

  #returnSpare(): void {
    if (this.#spare !== null) this.#account.anchors?.giveBack(this.#spare);
    this.#spare = null;
  }

  async #accept(answer: AnsweredExchange, sentAtMs: number, anchor: string | null): Promise<Step> {
    const { callId } = this;
    const { id: responseId } = answer.response;
    const { ledger, log, timing } = this.parts;
    const { endpoint } = this.#account;
    const held = await ledger.markAccepted({ callId, responseId, requestId: answer.requestId }); // (G3)
    pauseAt('call.accepted');
    if (held === responseId)
      return this.#follow(responseId, answer, performance.now() - sentAtMs, anchor);
    log.warn({ callId, responseId, held }, 'another sending of this call was accepted first');
    await endpoint.cancel(responseId, { timeoutMs: timing.requestTimeoutMs });
    return lookAgain;
  }

  async #follow(
    responseId: string,
    firstAnswer: AnsweredExchange | null,
    sentAgoMs: number,
    anchor: string | null,
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
    return this.#settle(responseId, end, anchor);
  }

  async #settle(responseId: string, end: FollowEnd, anchor: string | null): Promise<Step> {
    const { callId } = this;
    if (end.kind === 'aborted') return { kind: 'aborted' };
    const ids = { responseId, requestId: end.requestId };
    if (end.kind === 'cancel_unconfirmed') {
      // Stays accepted: whoever asks again looks it up by its id.
      const failure = this.#classify({ kind: 'deadline_passed', cancelConfirmed: false, ...ids });
      this.#logFailure(failure);
      return { kind: 'failed', callId, failure };
    }
    if (end.kind === 'gone') return this.#gone(ids, anchor);
    const { reading, pastDeadline } = end;
    switch (reading.kind) {
      case 'completed':
        return this.#complete({ ...reading, ...ids }, anchor);
      case 'ended_badly':
        return this.#endResponse('failed', reading.fact, reading, anchor);
      case 'cancelled':
        return this.#endResponse(
          'cancelled',
          pastDeadline
            ? { kind: 'deadline_passed', cancelConfirmed: true, ...ids }
            : { kind: 'cancelled_elsewhere', ...ids },
          { usage: null, bill: null },
          anchor,
        );
    }
  }

  /** OpenAI no longer has the response: what it said may stand on its anchor. */
  async #gone(
    ids: { readonly responseId: string; readonly requestId: string | null },
    anchor: string | null,
  ): Promise<Step> {
    const { timing, log } = this.parts;
    for (let looks = 0; anchor !== null && looks < goneLooks; looks += 1) {
      const word = await this.#look({ anchor, mayDelete: false });
      if (word.kind === 'answer' || word.kind === 'part')
        return this.#takeFromAnchor(word, { attempt: null, anchor, responseId: ids.responseId });
      if (word.kind !== 'unclear') break;
      log.debug({ callId: this.callId, anchor }, 'an anchor did not answer');
      await pause(timing.firstPollMs, this.owner.signal);
      if (this.owner.signal.aborted) return { kind: 'aborted' };
    }
    return this.#endResponse(
      'failed',
      { kind: 'response_gone', ...ids },
      { usage: null, bill: null },
      anchor,
    );
  }

  async #complete(end: FoundResult, anchor: string | null): Promise<Step> {
    const { callId } = this;
    const { output, usage, model, bill, responseId, requestId } = end;
    const { attempt = null, estimated = false } = end;
    const stored = await this.parts.ledger.end({
      ...{ state: 'done', callId, servedModel: model, output, usage, responseId, requestId },
      ...{ cost: this.#costOf(bill, null), attempt, estimated },
    });
    if (!stored) return lookAgain;
    this.#removeAnchor(anchor);
    const ids = { callId, responseId, requestId };
    return { kind: 'completed', ...ids, output, usage, model, reused: false };
  }

  async #endResponse(
    state: 'failed' | 'cancelled',
    fact: CallFact,
    { usage, bill, attempt = null, estimated = false }: FoundEnd,
    anchor: string | null,
  ): Promise<Step> {
    const { callId } = this;
    const failure = this.#classify(fact);
    this.#logFailure(failure);
    const cost = this.#costOf(bill, failure);
    const end = { state, callId, attempt, failure, usage, cost, estimated } as const;
    const ended = await this.parts.ledger.end(end);
    if (!ended) return lookAgain;
    this.#removeAnchor(anchor);
    return { kind: 'failed', callId, failure };
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

/** What a call used and cost, and how that is known. */
interface FoundEnd {
  readonly usage: Usage | null;
  /** null: none was seen. */
  readonly bill: Bill | null;
  /** The sending on whose anchor it was found; null (default): it is what OpenAI says of the response. */
  readonly attempt?: number | null;
  /** Its usage is an estimate of ours; default no. */
  readonly estimated?: boolean;
}

/** A result, and where it was found. */
interface FoundResult extends FoundEnd {
  readonly output: ModelOutput;
  readonly usage: Usage;
  readonly model: string;
  readonly responseId: string | null;
  readonly requestId: string | null;
}

/** The anchor is for this call alone: who says that it is in use says that the request was taken before, and its reply lost. */
function onAnchor(exchange: Exclude<Exchange, AnsweredExchange>, { anchor }: Sending): CallFact {
  if (anchor === null || exchange.kind !== 'refused' || exchange.code !== 'conversation_locked')
    return exchange;
  const { status: httpStatus, requestId, code: cause } = exchange;
  return { kind: 'no_answer', requestLeft: true, cause, httpStatus, requestId };
}

export class CallUnsettledError extends Error {
  override readonly name = 'CallUnsettledError';
  readonly code = 'call_unsettled';
  constructor(callId: string) {
    super(`call ${callId} changed in the ledger ${maxRounds} times without coming to an outcome`);
  }
}
