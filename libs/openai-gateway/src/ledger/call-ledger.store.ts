/**
 * The call ledger: what was asked of OpenAI, written before it is asked, so that nothing is paid twice.
 *
 *   planned → sending → accepted (response id stored) → done | failed | cancelled
 *               └────→ unknown (→ accepted or done, if the truth arrives after all)
 *
 * (L1) `sending` is committed before the first byte may leave, under the claim's fence and only where no cancel is requested.
 *      A call that nobody has opened before is made in that state, in one statement.
 * (L2) Whoever opens a call raises its fence to his own: an older owner can no longer send it.
 * (L3) Facts are written whoever owns the run by now: a response id, a result that was paid for. Only sending is fenced.
 * (L4) What came of one sending ends the call only while the ledger still waits for that very sending.
 * (L5) Every write is one batched statement, idempotent, and tried again for as long as the database is away.
 * (L6) A sending is fenced when its anchor was deleted, empty and free: only then is another one no possible duplicate of it.
 */
import type { NanoUsd } from '#libs/domain';
import { noMetrics, type Metrics } from '#libs/metrics';
import { packBytes, type Database, KeyedBatcher, type Statement, uuidv7 } from '#libs/postgres';
import type { CallFailure, ModelCallRequest, ModelOutput, Usage } from '../model-call.js';
import {
  endCalls,
  fenceSendings,
  forgetAnchors,
  markAccepted,
  markSending,
  openCalls,
  openSending,
  putBack,
  reroute,
} from './call-statements.js';
import {
  reserveBudgets,
  type BudgetedSending,
  type Reservation,
} from '../money/reserve-budgets.store.js';
import { type CallRow, encodeOutput, type LedgerCall, readCallRow } from './ledger-call.js';

export interface OpenedCall extends Pick<
  ModelCallRequest,
  'tenant' | 'runId' | 'step' | 'item' | 'try' | 'mode' | 'model'
> {
  readonly callId: string;
  readonly fence: bigint;
  readonly account: string;
}

export interface Rerouting {
  readonly callId: string;
  readonly fence: bigint;
  readonly account: string;
  readonly mode: ModelCallRequest['mode'];
}

/** The call as the ledger has it, on the anchor that it was opened with. `maySend`: this very opening made it, in `sending`; its first attempt may leave. */
export interface Opening {
  readonly call: LedgerCall;
  readonly maySend: boolean;
}

/** A call that is to be sent at once, on this anchor; `reserved`: the most that it may cost. */
type SendingCall = OpenedCall & {
  readonly sender: string;
  readonly reserved: NanoUsd;
  readonly anchor: string | null;
};

export interface Sending {
  readonly callId: string;
  readonly from: 'planned' | 'unknown';
  readonly fence: bigint;
  /** Which sending of this call, from 1. */
  readonly attempt: number;
  /** The conversation that it is sent on. */
  readonly anchor: string | null;
}

export interface FencedSending {
  readonly callId: string;
  readonly attempt: number;
  /** Deleted. */
  readonly anchor: string;
}

type ReservedSending = Sending & { readonly reserved: NanoUsd };

export interface Acceptance {
  readonly callId: string;
  readonly responseId: string;
  readonly requestId: string | null;
}

/** `cost`: of the sending that came to this end; null where nobody knows. */
export type CallEnd =
  | {
      readonly state: 'done';
      readonly callId: string;
      readonly cost: NanoUsd | null;
      /** The sending on whose anchor it was found; null where it is what OpenAI says of the response. */
      readonly attempt: number | null;
      /** null: nobody has seen it. */
      readonly responseId: string | null;
      readonly requestId: string | null;
      readonly servedModel: string;
      readonly output: ModelOutput;
      readonly usage: Usage;
      /** Its usage is an estimate of ours: the answer was found on its anchor. */
      readonly estimated: boolean;
    }
  | {
      readonly state: 'failed' | 'cancelled' | 'unknown';
      readonly callId: string;
      /** The sending this came of; null where it is what OpenAI says of the response. */
      readonly attempt: number | null;
      readonly failure: CallFailure;
      readonly usage: Usage | null;
      readonly cost: NanoUsd | null;
      /** As above; default no. */
      readonly estimated?: boolean;
    };

export class CallLedger {
  readonly #open = batcher<OpenedCall, LedgerCall>('gateway.open', (calls) => this.#openAll(calls));
  readonly #openSending = batcher<SendingCall, Opening>('gateway.open_sending', (calls) =>
    this.#openSendingAll(calls),
  );
  readonly #sending = batcher<ReservedSending, boolean>('gateway.sending', (items) =>
    this.#change(markSending, items, (item) => [
      ...[item.callId, item.from, item.fence, item.attempt, item.anchor, item.reserved],
    ]),
  );
  readonly #budgeted = batcher<BudgetedSending, Reservation>('gateway.budgeted_sending', (items) =>
    this.#reserveAll(items),
  );
  readonly #putBack = batcher<Sending, boolean>('gateway.put_back', (items) =>
    this.#change(putBack, items, (item) => [item.callId, item.attempt]),
  );
  readonly #reroute = batcher<Rerouting, boolean>('gateway.reroute', (items) =>
    this.#change(reroute, items, (item) => [item.callId, item.fence, item.account, item.mode]),
  );
  readonly #fenced = batcher<FencedSending, boolean>('gateway.fenced', (items) =>
    this.#change(fenceSendings, items, (item) => [item.callId, item.attempt, item.anchor]),
  );
  readonly #accepted = batcher<Acceptance, string | null>('gateway.accepted', (items) =>
    this.#acceptAll(items),
  );
  readonly #ended = batcher<CallEnd, boolean>('gateway.ended', (items) => this.#endAll(items));

  constructor(
    private readonly database: Database,
    private readonly metrics: Metrics = noMetrics,
  ) {}

  /** Makes the call's row, or finds it as others have left it (L2). */
  open(call: OpenedCall): Promise<LedgerCall> {
    return this.#open.push(call);
  }

  /** The same for somebody who is ready to send it now, on this anchor, if it turns out to be new (L1). */
  openSending(call: OpenedCall, reserved: NanoUsd, anchor: string | null): Promise<Opening> {
    return this.#openSending.push({ ...call, sender: uuidv7(), reserved, anchor });
  }

  /** For a call without budgets. False: we may not send (L1). */
  markSending(sending: Sending, reserved: NanoUsd): Promise<boolean> {
    return this.#sending.push({ ...sending, reserved });
  }

  /** The same, within budgets: see reserve-budgets.store.ts. */
  markSendingWithin(sending: BudgetedSending): Promise<Reservation> {
    return this.#budgeted.push(sending);
  }

  /** Undoes `markSending` of an attempt that did not leave. */
  putBack(sending: Sending): Promise<boolean> {
    return this.#putBack.push(sending);
  }

  /** Before the call is accepted: it goes on with another account. False: the run is no longer ours, or it has left otherwise. */
  reroute(rerouting: Rerouting): Promise<boolean> {
    return this.#reroute.push(rerouting);
  }

  /** False: the ledger no longer asks what became of that sending. */
  fence(sending: FencedSending): Promise<boolean> {
    return this.#fenced.push(sending);
  }

  /** That stand no longer, or soon will not: a call that is on another one by now keeps that. */
  async forgetAnchors(
    calls: readonly { readonly callId: string; readonly anchor: string }[],
  ): Promise<void> {
    const columns = [calls.map(({ callId }) => callId), calls.map(({ anchor }) => anchor)];
    await this.database.query(forgetAnchors, columns);
  }

  /** Answers with the response id that the ledger holds: another one, if another sending was first (L3). */
  markAccepted(acceptance: Acceptance): Promise<string | null> {
    return this.#accepted.push(acceptance);
  }

  /** False: the call has ended otherwise, or is no longer ours to end (L4). */
  end(end: CallEnd): Promise<boolean> {
    return this.#ended.push(end);
  }

  async #openAll(calls: readonly OpenedCall[]): Promise<LedgerCall[]> {
    const rows = await this.#run<CallRow, OpenedCall>(openCalls, calls, openColumns);
    return rows.map((row, index) => readCallRow(opened(row, calls[index])));
  }

  async #openSendingAll(calls: readonly SendingCall[]): Promise<Opening[]> {
    const rows = await this.#run<CallRow & { sender: string | null }, SendingCall>(
      openSending,
      calls,
      (call) => [...openColumns(call), call.sender, call.reserved, call.anchor],
    );
    return calls.map((call, index) => {
      const row = opened(rows[index], call);
      const isOurs = row.sender === call.sender && row.fence === call.fence;
      const stands = row.state === 'sending' && row.attempt_count === 1 && !row.cancel_requested;
      return { call: readCallRow(row), maySend: isOurs && stands };
    });
  }

  async #acceptAll(items: readonly Acceptance[]): Promise<(string | null)[]> {
    const rows = await this.#run<{ call_id: string; response_id: string }, Acceptance>(
      markAccepted,
      items,
      (item) => [item.callId, item.responseId, item.requestId],
    );
    return rows.map((row) => row?.response_id ?? null);
  }

  async #reserveAll(items: readonly BudgetedSending[]): Promise<Reservation[]> {
    const reservations = await reserveBudgets(this.database, items);
    for (const each of reservations)
      if (each.kind === 'refused')
        this.metrics.add('holdfast_budget_refusals_total', { budget: each.budget.scope });
    return reservations;
  }

  async #endAll(ends: readonly CallEnd[]): Promise<boolean[]> {
    const packed = packedOutputs(ends);
    const rows = await this.#run<EndedRow, CallEnd>(endCalls, ends, endColumns, packed);
    for (const row of rows) if (row) this.#countSpend(row);
    return rows.map((row) => row !== undefined);
  }

  /** What is uncertain may be booked later: then it counts there too. */
  #countSpend({ model, booked, uncertain }: EndedRow): void {
    const add = (kind: string, nanos: number) => {
      if (nanos > 0) this.metrics.add('holdfast_spend_dollars_total', { model, kind }, nanos / 1e9);
    };
    add('booked', booked);
    add('uncertain', uncertain);
  }

  /** Which of the calls the statement changed. */
  async #change<Item extends { readonly callId: string }>(
    statement: Statement,
    items: readonly Item[],
    columnsOf: (item: Item) => readonly unknown[],
    further: readonly unknown[] = [],
  ): Promise<boolean[]> {
    const rows = await this.#run<{ call_id: string }, Item>(statement, items, columnsOf, further);
    return rows.map((row) => row !== undefined);
  }

  /** One array per column, then what else the statement takes; the rows that came back, in the order of the items. */
  async #run<Row extends { readonly call_id: string }, Item extends { readonly callId: string }>(
    statement: Statement,
    items: readonly Item[],
    columnsOf: (item: Item) => readonly unknown[],
    further: readonly unknown[] = [],
  ): Promise<(Row | undefined)[]> {
    const columns = items.map(columnsOf);
    const width = columns[0]?.length ?? 0;
    const values = Array.from({ length: width }, (_, at) => columns.map((row) => row[at]));
    const { rows } = await this.database.query<Row>(statement, [...values, ...further]);
    this.#count(statement, items.length);
    const byId = new Map(rows.map((row) => [row.call_id, row]));
    return items.map((item) => byId.get(item.callId));
  }

  #count({ name }: Statement, calls: number): void {
    const labels = { statement: name.replace('gateway.', '') };
    this.metrics.add('holdfast_ledger_batches_total', labels);
    this.metrics.add('holdfast_ledger_calls_total', labels, calls);
  }
}

/** Nano-dollars that this end has added. */
interface EndedRow {
  readonly call_id: string;
  readonly model: string;
  readonly booked: number;
  readonly uncertain: number;
}

/** (L5) A paid answer is worth waiting for: a database away for minutes must not lose it. */
const retry = { maxRetryMs: 300_000 };

function batcher<Item extends { readonly callId: string }, Result>(
  name: string,
  write: (items: readonly Item[]) => Promise<readonly Result[]>,
): KeyedBatcher<Item, Result> {
  return new KeyedBatcher({ name, keyOf: (item: Item) => item.callId, write, retry });
}

function openColumns(call: OpenedCall): readonly unknown[] {
  return [
    call.callId,
    call.tenant,
    call.runId,
    call.step,
    call.item,
    call.try,
    call.fence,
    call.mode,
    call.model,
    call.account,
  ];
}

function opened<Row>(row: Row | undefined, call: OpenedCall | undefined): Row {
  if (row === undefined) throw new Error(`call ${call?.callId} was not opened`);
  return row;
}

function packedOutputs(ends: readonly CallEnd[]): readonly unknown[] {
  const { bytes, starts, sizes } = packBytes(
    ends.map((end) => (end.state === 'done' ? encodeOutput(end.output) : null)),
  );
  return [bytes, starts, sizes];
}

function endColumns(end: CallEnd): readonly unknown[] {
  return end.state === 'done'
    ? [
        end.callId,
        end.attempt,
        end.state,
        end.responseId,
        end.requestId,
        end.servedModel,
        JSON.stringify(end.usage),
        null,
        end.cost,
        end.estimated,
      ]
    : [
        end.callId,
        end.attempt,
        end.state,
        end.failure.responseId,
        end.failure.requestId,
        null,
        end.usage && JSON.stringify(end.usage),
        JSON.stringify(end.failure),
        end.cost,
        end.estimated ?? false,
      ];
}
