/**
 * A random script about one model call: claims follow each other, and every claim's owner goes on looking and acting, also when the
 * next one has taken over; decisions of people fall in between, and requests arrive late or never. Played against the real ledger,
 * beside a model of its row and of OpenAI's conversations.
 *
 * (I1) Of one sending of a call there is never a second while the first may have left.
 * (I2) Nobody sends a call that a later claim has taken over.
 * (I3) Nobody sends after a stop.
 * (I4) A call whose outcome is held is sent once; any further sending is booked as a possible duplicate, unless all before it are
 *      fenced: their anchors were deleted while nothing ran or stood on them.
 * (I5) `done` never leaves, and its output stays what OpenAI answered.
 * (I6) OpenAI works on a call twice only where that is booked as a possible duplicate.
 * (I7) A call goes on with another account by its owner's word only, and only until what was sent first may have been taken.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { nanoUsd } from '#libs/domain';
import type { Database } from '#libs/postgres';
import {
  bumpFences,
  decideCall,
  giveUpUnknownCalls,
  stopCalls,
  type CallDecision,
  type CallFailure,
  type CallLedger,
  type Usage,
} from '#libs/openai-gateway';

export interface LedgerScript {
  readonly whenUnknown: 'hold' | 'resend';
  readonly steps: readonly Step[];
}

export type Step =
  /** A new claim of the run. */
  | { readonly kind: 'claim' }
  /** One owner does what comes next for him. `ready`: he could send at once. */
  | {
      readonly kind: 'go_on';
      readonly who: number;
      readonly ready: boolean;
      /** An anchor is at hand. */
      readonly stocked: boolean;
      readonly luck: Luck;
    }
  /** At OpenAI: what is under way arrives, or what runs ends. */
  | { readonly kind: 'arrive' | 'end' }
  | { readonly kind: 'stop' | 'give_up' };

/** What becomes of a sending, or of a response. */
export type Luck = (typeof lucks)[number];
const lucks = [
  ...(['good', 'good', 'lost', 'late', 'refused', 'did_not_leave', 'cancelled'] as const),
  'turned_away', // by its account: it is to go on with another one
] as const;

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('go_on' as const),
      who: fc.nat({ max: 2 }),
      ready: fc.boolean(),
      stocked: fc.constantFrom(true, true, false),
      luck: fc.constantFrom(...lucks),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: 'claim' } as const) },
  {
    weight: 3,
    arbitrary: fc.constantFrom({ kind: 'arrive' } as const, { kind: 'end' } as const),
  },
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
  | Extract<CallDecision, { kind: 'send' | 'mark_unknown' | 'ask_anchor' }>
  /** The anchor is deleted. */
  | { readonly kind: 'fence'; readonly anchor: string; readonly attempt: number }
  /** The request has left. */
  | ({ readonly kind: 'sent'; readonly from: 'planned' | 'unknown' } & Sent)
  | { readonly kind: 'follow'; readonly responseId: string };

interface Sent {
  readonly attempt: number;
  readonly anchor: string | null;
}

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
  readonly anchor: string | null;
  readonly fenced: number;
  readonly estimated: boolean;
  readonly lost: number;
  readonly cost: bigint | null;
  readonly account: string;
}

/** Reserved for each sending. */
const price = nanoUsd(7n);
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
  /** On their way to OpenAI. */
  private readonly late: Sent[] = [];
  /** What OpenAI worked on, and works on. */
  private readonly paid: number[] = [];
  private readonly running = new Map<string, number>();
  /** On an anchor stands the answer to this sending. */
  private readonly standing = new Map<string, number>();
  private readonly deleted = new Set<string>();
  private answer: ReturnType<typeof outputOf> | null = null;

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

  private async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'claim':
        return this.claim();
      case 'arrive':
        return void (this.late.length > 0 && this.arrives(this.late.shift()!));
      case 'end':
        return this.endRunning();
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
        return this.look(owner, step);
      case 'send':
        return this.send(owner, phase, step);
      case 'mark_unknown':
        return this.end('unknown', phase.attempt);
      case 'ask_anchor':
        return this.askAnchor(owner, phase);
      case 'fence':
        return this.fence(phase);
      case 'sent':
        return this.hearOf(owner, phase, step.luck);
      case 'follow':
        return this.settle(phase.responseId, step.luck);
    }
  }

  private async look(owner: Owner, { ready, stocked }: GoOn): Promise<void> {
    const { fence } = owner;
    const opened = { ...this.call, fence, account: 'default' };
    const anchor = anchorFor(stocked);
    const { call, maySend } = ready
      ? await this.ledger.openSending(opened, price, anchor)
      : { call: await this.ledger.open(opened), maySend: false };
    const isNew = this.row === null;
    const isOurs = owner === this.owners.at(-1);
    this.row = isNew ? this.newRow(ready && isOurs, anchor) : this.lookedAt();
    expect([call.state, call.fence, call.attemptCount]).toEqual([
      ...[this.row?.state, this.row?.fence, this.row?.attempt],
    ]);
    if (call.state === 'done') expect(call.output).toEqual(this.answer); // (I5)
    expect(maySend).toBe(isNew && ready && isOurs && !this.stopped);
    if (maySend) return this.leaves(owner, 'planned', { attempt: 1, anchor });
    const { whenUnknown } = this.script;
    const facts = { fence, whenUnknown, maxSendings: 3, toldWithinMs: 0, anchors: alwaysAsked };
    const decision = decideCall(call, facts);
    if (decision.kind === 'send' || decision.kind === 'mark_unknown') owner.phase = decision;
    if (decision.kind === 'ask_anchor') owner.phase = decision;
    if (decision.kind === 'pick_up')
      owner.phase = { kind: 'follow', responseId: decision.responseId };
  }

  private get newestFence(): bigint {
    return BigInt(this.owners.length);
  }

  /** Whoever opens it, it bears the fence of the newest claim (I2). */
  private newRow(isReady: boolean, anchor: string | null): ModelRow {
    const sends = isReady && !this.stopped;
    const fence = this.newestFence;
    return {
      ...{ state: sends ? 'sending' : 'planned', fence, attempt: sends ? 1 : 0 },
      ...{ stopped: this.stopped, responseId: null, duplicate: false, hasFailure: false },
      ...{ anchor: sends ? anchor : null, fenced: 0, estimated: false, lost: 0, cost: null },
      account: 'default',
    };
  }

  private lookedAt(): ModelRow {
    const row = this.row!;
    const stopped = row.stopped || this.stopped;
    return { ...row, stopped, fence: open.includes(row.state) ? this.newestFence : row.fence };
  }

  private async send(owner: Owner, wanted: Phase & { kind: 'send' }, { stocked, luck }: GoOn) {
    const { fence } = owner;
    const { from, attempt } = wanted;
    if (from === 'planned' && luck === 'turned_away' && (await this.reroute(owner))) return;
    const anchor = wanted.anchor ?? anchorFor(stocked);
    const sending = { callId: this.call.callId, from, fence, attempt, anchor };
    const row = this.row!;
    const may =
      row.fence === fence && !this.stopped && row.state === from && row.attempt === attempt - 1;
    expect(await this.ledger.markSending(sending, price)).toBe(may);
    if (!may) return;
    const isLost = from === 'unknown' && row.fenced < attempt - 1;
    const counted = { duplicate: row.duplicate || isLost, lost: row.lost + Number(isLost) };
    this.row = { ...row, ...counted, state: 'sending', attempt, anchor, cost: null };
    this.leaves(owner, from, { attempt, anchor });
  }

  /** The owner has leave to send. */
  private leaves(owner: Owner, from: 'planned' | 'unknown', sent: Sent): void {
    const row = this.row!;
    const { attempt } = sent;
    expect(this.sendings).not.toContain(attempt); // (I1)
    expect(row.fence).toBe(owner.fence); // (I2)
    expect(this.stopped).toBe(false); // (I3)
    this.sendings.push(attempt);
    if (this.sendings.length > 1 && row.fenced < attempt - 1) {
      expect([this.script.whenUnknown, row.duplicate]).toEqual(['resend', true]); // (I4)
    }
    owner.phase = { kind: 'sent', from, ...sent };
  }

  /** At OpenAI. False: refused. */
  private arrives({ attempt, anchor }: Sent): boolean {
    if (anchor !== null && (this.deleted.has(anchor) || this.isTaken(anchor))) return false;
    if (anchor !== null) this.running.set(anchor, attempt);
    this.paid.push(attempt);
    if (this.paid.length > 1) expect(this.row!.duplicate).toBe(true); // (I6)
    return true;
  }

  private isTaken(anchor: string): boolean {
    return this.running.has(anchor) || this.standing.has(anchor);
  }

  private endRunning(): void {
    for (const [anchor, attempt] of this.running) this.standing.set(anchor, attempt);
    this.running.clear();
  }

  /** Nobody else acts between the look and the removal. */
  private async askAnchor(owner: Owner, asked: Phase & { kind: 'ask_anchor' }): Promise<void> {
    const { anchor, attempt } = asked;
    const answered = this.standing.get(anchor);
    if (answered === undefined) {
      if (this.running.has(anchor)) return;
      this.deleted.add(anchor);
      owner.phase = { kind: 'fence', anchor, attempt };
      return;
    }
    const row = this.row!;
    const ends = row.attempt === attempt && (row.state === 'sending' || row.state === 'unknown');
    const isSame = row.state === 'done' && row.attempt === attempt && row.estimated;
    const found = { callId: this.call.callId, responseId: null, cost: null, estimated: true };
    const end = { ...doneWith(`resp_${answered}`), ...found };
    const may = ends || isSame;
    expect(await this.ledger.end({ ...end, attempt })).toBe(may);
    if (!may) return;
    this.answer = outputOf(`resp_${answered}`);
    this.row = { ...row, state: 'done', hasFailure: false, estimated: true };
  }

  private async fence({ anchor, attempt }: Phase & { kind: 'fence' }): Promise<void> {
    const row = this.row!;
    const stands = row.anchor === anchor || row.fenced === attempt;
    const may = row.state === 'unknown' && row.attempt === attempt && stands;
    expect(await this.ledger.fence({ callId: this.call.callId, attempt, anchor })).toBe(may);
    if (may) this.row = { ...row, fenced: attempt, anchor: null, cost: 0n };
  }

  private async hearOf(owner: Owner, sent: Phase & { kind: 'sent' }, luck: Luck): Promise<void> {
    const { callId } = this.call;
    const { from, attempt } = sent;
    if (luck === 'did_not_leave') return this.putBack(owner, sent, from);
    if (luck === 'turned_away' && (await this.reroute(owner)))
      return void this.sendings.splice(this.sendings.indexOf(attempt), 1); // it came to nothing
    if (luck === 'late') this.late.push(sent);
    if (luck === 'late') return this.end('unknown', attempt);
    if (luck === 'refused' || luck === 'turned_away' || !this.arrives(sent))
      return this.end('failed', attempt);
    if (luck === 'lost') return this.end('unknown', attempt);
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

  private async putBack(owner: Owner, sent: Sent, from: 'planned' | 'unknown'): Promise<void> {
    const { attempt, anchor } = sent;
    const sending = { callId: this.call.callId, from, fence: owner.fence, attempt, anchor };
    const row = this.row!;
    const may = row.state === 'sending' && row.attempt === attempt;
    expect(await this.ledger.putBack(sending)).toBe(may);
    this.sendings.splice(this.sendings.indexOf(attempt), 1); // it did not leave, whatever the ledger says
    if (!may) return;
    const duplicate = row.duplicate && attempt > 2;
    const state = row.hasFailure ? 'unknown' : 'planned';
    const keeps = !row.hasFailure || row.fenced === attempt - 1;
    const kept = { anchor: keeps ? row.anchor : null, lost: row.lost - Number(!keeps) };
    const cost = row.hasFailure && keeps ? 0n : null;
    this.row = { ...row, ...kept, state, attempt: attempt - 1, duplicate, cost };
  }

  /** (I7) */
  private async reroute({ fence }: Owner): Promise<boolean> {
    const { callId, mode } = this.call;
    const row = this.row!;
    const isFirst = row.state === 'planned' || (row.state === 'sending' && row.attempt === 1);
    const may = isFirst && row.fence === fence;
    expect(await this.ledger.reroute({ callId, fence, account: 'spare', mode })).toBe(may);
    const moved = { attempt: 0, anchor: null, cost: null, account: 'spare' };
    if (may) this.row = { ...row, ...moved, state: 'planned' };
    return may;
  }

  private async settle(responseId: string, luck: Luck): Promise<void> {
    if (luck === 'refused') return this.end('failed', null, responseId);
    if (luck === 'cancelled') return this.end('cancelled', null, responseId);
    const row = this.row!;
    const { callId } = this.call;
    const may = row.state === 'done' ? row.responseId === responseId : this.mayEnd(null);
    const told = { attempt: null, cost: null, estimated: false };
    expect(await this.ledger.end({ ...doneWith(responseId), ...told, callId })).toBe(may);
    if (!may) return;
    this.answer = outputOf(responseId);
    const cost = row.state === 'done' ? row.cost : null;
    this.row = { ...row, state: 'done', responseId, hasFailure: false, estimated: false, cost };
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
    const end = { state, callId, attempt, failure, usage: null, cost: null };
    expect(await this.ledger.end(end)).toBe(may);
    if (may) this.row = failedRow(row, state, responseId);
  }

  private mayEnd(attempt: number | null): boolean {
    const { state, attempt: current } = this.row!;
    if (attempt !== null) return state === 'sending' && attempt === current;
    return state === 'sending' || state === 'accepted' || state === 'unknown';
  }

  private async stored(): Promise<ModelRow | null> {
    const { rows } = await this.database.query<ModelRow>(
      `SELECT state, fence, attempt_count AS attempt, cancel_requested AS stopped, response_id AS "responseId",
         possible_duplicate AS duplicate, failure IS NOT NULL AS "hasFailure", anchor, fenced_attempt AS fenced,
         usage_estimated AS estimated, lost_sendings AS lost, cost, account
       FROM processor.calls WHERE call_id = $1`,
      [this.call.callId],
    );
    return rows[0] ?? null;
  }
}

const failedRow = (
  row: ModelRow,
  state: 'failed' | 'cancelled' | 'unknown',
  responseId: string | null,
): ModelRow => ({
  ...{ ...row, state, responseId: responseId ?? row.responseId },
  ...{ hasFailure: true, estimated: false, cost: row.state === state ? row.cost : null },
});

type GoOn = Extract<Step, { kind: 'go_on' }>;

/** The call's time is over, and that of its anchor never. */
const alwaysAsked = { callTimeoutMs: 0, graceMs: 1e9, settleMs: 0, lateLooks: 0 };

const anchorFor = (stocked: boolean): string | null => (stocked ? `conv_${randomUUID()}` : null);

const doneWith = (responseId: string) => ({
  ...({ state: 'done', requestId: null, servedModel: 'gpt-5.2-2026-01-15' } as const),
  responseId,
  ...{ output: outputOf(responseId), usage },
});

/** OpenAI answers one thing to one response. */
const outputOf = (responseId: string) => ({ kind: 'text', text: `${responseId} says 42` }) as const;

const usage: Usage = {
  ...{ inputTokens: 1, cachedInputTokens: 0, outputTokens: 1, reasoningTokens: 0, totalTokens: 2 },
};

const failed: CallFailure = {
  ...{ class: 'server_error', code: 'x', httpStatus: 500, requestId: null, responseId: null },
  ...{ message: 'x', retryAfterMs: null, paid: 'maybe', breaker: 'transient' },
};
