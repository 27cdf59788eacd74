/**
 * A random script about one model call: claims follow each other, and every claim's owner goes on looking and acting, also when the
 * next one has taken over; decisions of people fall in between. Played against the real ledger, beside a model of its row.
 *
 * (I1) Of one sending of a call there is never a second while the first may have left.
 * (I2) Nobody sends a call that a later claim has taken over.
 * (I3) Nobody sends after a stop.
 * (I4) A call whose outcome is held is sent once; any further sending is booked as a possible duplicate.
 * (I5) `done` never leaves, and its output stays what OpenAI answered.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { ZERO_USD } from '#libs/domain';
import type { Database } from '#libs/postgres';
import {
  bumpFences,
  decideCall,
  giveUpUnknownCalls,
  stopCalls,
  type CallFailure,
  type CallLedger,
  type Usage,
} from '#libs/openai-gateway';

export interface LedgerScript {
  readonly whenUnknown: 'hold' | 'resend';
  readonly steps: readonly Step[];
}

type Step =
  /** A new claim of the run. */
  | { readonly kind: 'claim' }
  /** One owner does what comes next for him. `ready`: he could send at once. */
  | { readonly kind: 'go_on'; readonly who: number; readonly ready: boolean; readonly luck: Luck }
  | { readonly kind: 'stop' | 'give_up' };

/** What becomes of a sending, or of a response. */
type Luck = (typeof lucks)[number];
const lucks = ['good', 'good', 'lost', 'refused', 'did_not_leave', 'cancelled'] as const;

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('go_on' as const),
      who: fc.nat({ max: 2 }),
      ready: fc.boolean(),
      luck: fc.constantFrom(...lucks),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: 'claim' } as const) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ kind: 'stop' } as const, { kind: 'give_up' } as const),
  },
);

export const ledgerScripts: fc.Arbitrary<LedgerScript> = fc.record({
  whenUnknown: fc.constantFrom('hold', 'resend'),
  steps: fc.array(anyStep, { minLength: 8, maxLength: 30, size: 'max' }),
});

/** What an owner is about to do. */
type Phase =
  | { readonly kind: 'look' }
  | { readonly kind: 'send'; readonly from: 'planned' | 'unknown'; readonly attempt: number }
  | { readonly kind: 'mark_unknown'; readonly attempt: number }
  /** The request has left. */
  | { readonly kind: 'sent'; readonly from: 'planned' | 'unknown'; readonly attempt: number }
  | { readonly kind: 'follow'; readonly responseId: string };

interface Owner {
  readonly fence: bigint;
  phase: Phase;
}

interface ModelRow {
  readonly state: Awaited<ReturnType<CallLedger['open']>>['state'];
  readonly fence: bigint;
  readonly attempt: number;
  readonly stopped: boolean;
  readonly responseId: string | null;
  readonly duplicate: boolean;
  readonly hasFailure: boolean;
}

const open: readonly string[] = ['planned', 'sending', 'accepted', 'unknown'];

export class LedgerScene {
  private readonly call = {
    ...{ callId: randomUUID(), runId: randomUUID(), tenant: 'default', model: 'gpt-5.2' },
    ...{ step: 0, item: 0, try: 1, mode: 'background' as const },
  };
  private readonly owners: Owner[] = [];
  private row: ModelRow | null = null;
  private stopped = false;
  /** Attempts that may have left. */
  private readonly sendings: number[] = [];

  constructor(
    private readonly database: Database,
    private readonly ledger: CallLedger,
    private readonly script: LedgerScript,
  ) {}

  async play(): Promise<void> {
    await this.claim();
    for (const step of this.script.steps) await this.step(step);
    expect(await this.stored()).toEqual(this.row);
  }

  private step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'claim':
        return this.claim();
      case 'stop':
        return this.stop();
      case 'give_up':
        return this.giveUp();
      case 'go_on':
        return this.goOn(this.owners.at(-1 - (step.who % this.owners.length))!, step);
    }
  }

  private async claim(): Promise<void> {
    const fence = BigInt(this.owners.length + 1);
    this.owners.push({ fence, phase: { kind: 'look' } });
    await this.database.transaction((tx) => bumpFences(tx, [{ runId: this.call.runId, fence }]));
    if (this.row && open.includes(this.row.state)) this.row = { ...this.row, fence };
  }

  private async stop(): Promise<void> {
    await this.database.transaction((tx) => stopCalls(tx, [this.call.runId]));
    this.stopped = true;
    if (this.row && open.includes(this.row.state)) this.row = { ...this.row, stopped: true };
  }

  private async giveUp(): Promise<void> {
    await this.database.transaction((tx) => giveUpUnknownCalls(tx, [this.call.runId]));
    if (this.row?.state !== 'unknown') return;
    this.row = { ...this.row, state: 'failed', duplicate: true };
  }

  private async goOn(owner: Owner, step: Extract<Step, { kind: 'go_on' }>): Promise<void> {
    const { phase } = owner;
    owner.phase = { kind: 'look' };
    switch (phase.kind) {
      case 'look':
        return this.look(owner, step.ready);
      case 'send':
        return this.send(owner, phase);
      case 'mark_unknown':
        return this.end('unknown', phase.attempt);
      case 'sent':
        return this.hearOf(owner, phase, step.luck);
      case 'follow':
        return this.settle(phase.responseId, step.luck);
    }
  }

  private async look(owner: Owner, ready: boolean): Promise<void> {
    const { fence } = owner;
    const opened = { ...this.call, fence, account: 'default' };
    const { call, maySend } = ready
      ? await this.ledger.openSending(opened, ZERO_USD)
      : { call: await this.ledger.open(opened), maySend: false };
    const isNew = this.row === null;
    this.row = isNew ? this.newRow(fence, ready) : this.lookedAt(fence);
    expect([call.state, call.fence, call.attemptCount]).toEqual([
      ...[this.row?.state, this.row?.fence, this.row?.attempt],
    ]);
    if (call.state === 'done') expect(call.output).toEqual(outputOf(call.responseId)); // (I5)
    expect(maySend).toBe(isNew && ready && !this.stopped);
    if (maySend) return this.leaves(owner, 'planned', 1);
    const facts = { fence, whenUnknown: this.script.whenUnknown, maxSendings: 3, toldWithinMs: 0 };
    const decision = decideCall(call, facts);
    if (decision.kind === 'send' || decision.kind === 'mark_unknown') owner.phase = decision;
    if (decision.kind === 'pick_up')
      owner.phase = { kind: 'follow', responseId: decision.responseId };
  }

  private newRow(fence: bigint, ready: boolean): ModelRow {
    const sends = ready && !this.stopped;
    return {
      ...{ state: sends ? 'sending' : 'planned', fence, attempt: sends ? 1 : 0 },
      ...{ stopped: this.stopped, responseId: null, duplicate: false, hasFailure: false },
    };
  }

  private lookedAt(fence: bigint): ModelRow {
    const row = this.row!;
    const stopped = row.stopped || this.stopped;
    return { ...row, stopped, fence: row.fence > fence ? row.fence : fence };
  }

  private async send(owner: Owner, { from, attempt }: Phase & { kind: 'send' }): Promise<void> {
    const { fence } = owner;
    const sending = { callId: this.call.callId, from, fence, attempt };
    const row = this.row!;
    const may =
      row.fence === fence && !this.stopped && row.state === from && row.attempt === attempt - 1;
    expect(await this.ledger.markSending(sending, ZERO_USD)).toBe(may);
    if (!may) return;
    const duplicate = row.duplicate || from === 'unknown';
    this.row = { ...row, state: 'sending', attempt, duplicate };
    this.leaves(owner, from, attempt);
  }

  /** The owner has leave to send. */
  private leaves(owner: Owner, from: 'planned' | 'unknown', attempt: number): void {
    const row = this.row!;
    expect(this.sendings).not.toContain(attempt); // (I1)
    expect(row.fence).toBe(owner.fence); // (I2)
    expect(this.stopped).toBe(false); // (I3)
    this.sendings.push(attempt);
    if (this.sendings.length > 1) {
      expect([this.script.whenUnknown, row.duplicate]).toEqual(['resend', true]); // (I4)
    }
    owner.phase = { kind: 'sent', from, attempt };
  }

  private async hearOf(owner: Owner, sent: Phase & { kind: 'sent' }, luck: Luck): Promise<void> {
    const { callId } = this.call;
    const { from, attempt } = sent;
    if (luck === 'lost' || luck === 'refused')
      return this.end(luck === 'lost' ? 'unknown' : 'failed', attempt);
    if (luck === 'did_not_leave') return this.putBack(owner, { ...sent, from });
    const responseId = `resp_${attempt}`;
    const held = await this.ledger.markAccepted({ callId, responseId, requestId: null });
    const row = this.row!;
    const waits = row.state === 'sending' || row.state === 'unknown';
    const state = waits ? 'accepted' : row.state;
    const kept = row.responseId ?? responseId;
    this.row = { ...row, state, responseId: kept, hasFailure: !waits && row.hasFailure };
    expect(held).toBe(kept);
    if (held === responseId) owner.phase = { kind: 'follow', responseId };
  }

  private async putBack(owner: Owner, { from, attempt }: Phase & { kind: 'sent' }): Promise<void> {
    const sending = { callId: this.call.callId, from, fence: owner.fence, attempt };
    const row = this.row!;
    const may = row.state === 'sending' && row.attempt === attempt;
    expect(await this.ledger.putBack(sending)).toBe(may);
    this.sendings.splice(this.sendings.indexOf(attempt), 1); // it did not leave, whatever the ledger says
    if (!may) return;
    const duplicate = row.duplicate && attempt > 2;
    const state = row.hasFailure ? 'unknown' : 'planned';
    this.row = { ...row, state, attempt: attempt - 1, duplicate };
  }

  private async settle(responseId: string, luck: Luck): Promise<void> {
    if (luck === 'refused') return this.end('failed', null, responseId);
    if (luck === 'cancelled') return this.end('cancelled', null, responseId);
    const row = this.row!;
    const { callId } = this.call;
    const done = { state: 'done', callId, responseId, requestId: null } as const;
    const told = { servedModel: 'gpt-5.2-2026-01-15', output: outputOf(responseId), usage };
    const may = row.state === 'done' ? row.responseId === responseId : this.mayEnd(null);
    expect(await this.ledger.end({ ...done, ...told, cost: null })).toBe(may);
    if (may) this.row = { ...row, state: 'done', responseId, hasFailure: false };
  }

  private async end(
    state: 'failed' | 'cancelled' | 'unknown',
    attempt: number | null,
    responseId: string | null = null,
  ): Promise<void> {
    const row = this.row!;
    const failure = { ...failed, responseId };
    const isSame =
      row.state === state &&
      row.attempt === (attempt ?? row.attempt) &&
      row.responseId === (responseId ?? row.responseId);
    const may = this.mayEnd(attempt) || isSame;
    const { callId } = this.call;
    expect(
      await this.ledger.end({ state, callId, attempt, failure, usage: null, cost: null }),
    ).toBe(may);
    if (may)
      this.row = { ...row, state, responseId: responseId ?? row.responseId, hasFailure: true };
  }

  private mayEnd(attempt: number | null): boolean {
    const { state, attempt: current } = this.row!;
    if (attempt !== null) return state === 'sending' && attempt === current;
    return state === 'sending' || state === 'accepted' || state === 'unknown';
  }

  private async stored(): Promise<ModelRow | null> {
    const { rows } = await this.database.query<ModelRow>(
      `SELECT state, fence, attempt_count AS attempt, cancel_requested AS stopped, response_id AS "responseId",
         possible_duplicate AS duplicate, failure IS NOT NULL AS "hasFailure"
       FROM processor.calls WHERE call_id = $1`,
      [this.call.callId],
    );
    return rows[0] ?? null;
  }
}

/** OpenAI answers one thing to one response. */
const outputOf = (responseId: string) => ({ kind: 'text', text: `${responseId} says 42` }) as const;

const usage: Usage = {
  ...{ inputTokens: 1, cachedInputTokens: 0, outputTokens: 1, reasoningTokens: 0, totalTokens: 2 },
};

const failed: CallFailure = {
  ...{ class: 'server_error', code: 'x', httpStatus: 500, requestId: null, responseId: null },
  ...{ message: 'x', retryAfterMs: null, paid: 'maybe', breaker: 'transient' },
};
