/**
 * The conversations that calls are sent on: a small stock made ahead, and the removal of what was used.
 *
 * (S1) Who finds the stock empty asks for one itself, for a short time. Without an answer the call goes without: a reply is rarely
 *      lost, and an outage of conversations is no reason to stand still. After a failure nobody asks for a while.
 * (S2) An anchor is given to one call. It comes back only where no statement of the ledger has named it.
 * (S3) What was used is removed at OpenAI in the background, then in the ledger. What fails is tried again, a few times; what is left
 *      then, or by a process that died, stands in the ledger's rows, and is removed with what its run leaves behind.
 * (S4) The stock of a process that was killed stays at OpenAI: a few empty conversations, worth no row.
 */
import type { FieldLog } from '#libs/process';
import type { ModelCallRequest } from '../model-call.js';
import type { OpenAiEndpoint } from '../openai/openai-endpoint.js';
import { pause } from '../openai/follow-response.js';
import { isNotFound } from './look-at-anchor.js';

export interface AnchorOptions {
  /** Which calls are sent on one, unless their step says otherwise. */
  readonly for: 'background' | 'all';
  /** Made ahead at most. Default 32; how many it is follows from how often the stock was empty. */
  readonly maxStock?: number;
  /** How long a call waits for one. Default 2 s. */
  readonly waitMs?: number;
}

export interface AnchorParts {
  readonly endpoint: Pick<OpenAiEndpoint, 'createConversation' | 'deleteConversation'>;
  /** Writes down that they are gone. */
  readonly forget: (calls: readonly UsedAnchor[]) => Promise<void>;
  readonly log: FieldLog;
  readonly count: (change: AnchorChange) => void;
  readonly random: () => number;
}

/** `not_made`: OpenAI did not make one. `left`: it did not remove one; it is tried again with what its run leaves. */
export type AnchorChange = 'made' | 'not_made' | 'used' | 'given_back' | 'removed' | 'left';

export interface UsedAnchor {
  readonly callId: string;
  readonly anchor: string;
}

const madeAtOnce = 4;
const removedAtOnce = 8;
const removals = 4;
const maxWaiting = 10_000;
const firstPauseMs = 500;
const forgetEveryMs = 1_000;
const closeGraceMs = 2_000;
/** (S1) */
const minRestMs = 5_000;
const maxRestMs = 600_000;

export class Anchors {
  readonly #which: AnchorOptions['for'];
  readonly #stock: string[] = [];
  readonly #maxStock: number;
  readonly #waitMs: number;
  readonly #closing = new AbortController();
  #wanted = 1;
  #making = 0;
  #restMs = 0;
  #restsUntilMs = 0;
  readonly #toRemove: UsedAnchor[] = [];
  #removing = 0;
  #removed: UsedAnchor[] = [];
  #forgetting: Promise<void> | null = null;

  constructor(
    { for: which, maxStock = 32, waitMs = 2_000 }: AnchorOptions,
    private readonly parts: AnchorParts,
  ) {
    this.#which = which;
    this.#maxStock = maxStock;
    this.#waitMs = waitMs;
  }

  /** Made ahead, and not used yet. */
  get stock(): number {
    return this.#stock.length;
  }

  /** null: it wants none, or there is none and it goes without (S1). */
  async take(call: Pick<ModelCallRequest, 'mode' | 'anchor'>): Promise<string | null> {
    const isUsual = this.#which === 'all' || call.mode === 'background';
    if ((call.anchor ?? (isUsual ? 'on' : 'off')) === 'off') return null;
    const ready = this.#stock.pop();
    if (ready === undefined) this.#wanted = Math.min(this.#maxStock, this.#wanted * 2);
    this.#refill();
    const anchor = ready ?? (await this.#make());
    if (anchor !== null) this.parts.count('used');
    return anchor;
  }

  /** For one that no statement has named (S2). */
  giveBack(anchor: string): void {
    this.#stock.push(anchor);
    this.parts.count('given_back');
  }

  /** Once its call has come to an end (S3). */
  remove(used: UsedAnchor): void {
    if (this.#toRemove.length < maxWaiting) this.#toRemove.push(used);
    this.#startRemovals();
  }

  /** What is on its way is finished; the stock is removed, as far as that goes quickly. */
  async close(): Promise<void> {
    const grace = AbortSignal.timeout(closeGraceMs);
    while (this.#removing > 0 && !grace.aborted) await pause(10, grace);
    this.#closing.abort();
    await this.#forgetting;
    await this.#forget();
    const left = this.#stock.splice(0);
    await Promise.all(left.map((anchor) => this.#delete(anchor, closeGraceMs)));
  }

  #refill(): void {
    const missing = this.#wanted - this.#stock.length - this.#making;
    for (let more = Math.min(missing, madeAtOnce - this.#making); more > 0; more -= 1)
      void this.#make().then((anchor) => anchor !== null && this.#keep(anchor));
  }

  #keep(anchor: string): void {
    this.#stock.push(anchor);
    this.#refill();
  }

  async #make(): Promise<string | null> {
    if (performance.now() < this.#restsUntilMs || this.#closing.signal.aborted) return null;
    this.#making += 1;
    const made = await this.parts.endpoint.createConversation({ timeoutMs: this.#waitMs });
    this.#making -= 1;
    if (made.kind === 'answered') {
      this.#restMs = 0;
      this.parts.count('made');
      return made.value;
    }
    this.parts.count('not_made');
    this.#rest('status' in made ? String(made.status) : made.cause);
    return null;
  }

  #rest(cause: string): void {
    if (performance.now() < this.#restsUntilMs) return; // another has said so
    this.#restMs = Math.min(maxRestMs, Math.max(minRestMs, this.#restMs * 2));
    this.#restsUntilMs = performance.now() + this.#restMs;
    const { log } = this.parts;
    log.warn({ cause, retryAfterMs: this.#restMs }, 'no conversation was made; calls go without');
  }

  #startRemovals(): void {
    for (; this.#removing < removedAtOnce && this.#toRemove.length > 0; this.#removing += 1)
      void this.#removeOne(this.#toRemove.shift()!).finally(() => {
        this.#removing -= 1;
        this.#startRemovals();
      });
  }

  async #removeOne(used: UsedAnchor): Promise<void> {
    for (let asked = 0; asked < removals && !this.#closing.signal.aborted; asked += 1) {
      if (await this.#delete(used.anchor)) {
        this.#removed.push(used);
        this.parts.count('removed');
        this.#forgetting ??= this.#forgetSoon();
        return;
      }
      const waitMs = firstPauseMs * 2 ** asked * (1 + this.parts.random());
      await pause(waitMs, this.#closing.signal);
    }
    this.parts.count('left');
  }

  async #delete(anchor: string, timeoutMs = 10_000): Promise<boolean> {
    const told = await this.parts.endpoint.deleteConversation(anchor, { timeoutMs });
    return told.kind === 'answered' || isNotFound(told);
  }

  async #forgetSoon(): Promise<void> {
    await pause(forgetEveryMs, this.#closing.signal);
    this.#forgetting = null;
    await this.#forget();
  }

  /** Many calls in one statement. */
  async #forget(): Promise<void> {
    const removed = this.#removed.splice(0);
    if (removed.length === 0) return;
    try {
      await this.parts.forget(removed);
    } catch (error) {
      this.parts.log.warn({ error }, 'removed conversations stay in the ledger'); // removing again does no harm
    }
  }
}
