/**
 * The latches as this process knows them.
 *
 * (N1) A latch that this process sets is known to it at once. One that another sets, or releases, is known within `refreshMs`, and
 *      later only while Postgres does not answer; then no call leaves anyway, since the ledger is there too. What leaves in
 *      between is refused by OpenAI, and finds the latch.
 * (N2) What was learned after a read was sent is not undone by the read's answer.
 * (N3) A call that set out before its lane was released sets no latch: its news is old.
 * (N4) A probe is taken by a call that is ready to leave, and is due again for the fleet where that call does not leave after all: no
 *      process keeps one that it has no use for.
 */
import type { Metrics } from '#libs/metrics';
import type { FieldLog } from '#libs/process';
import { laneKey, probeDelayMs, type Lane, type Latch, type ProbePolicy } from './latch.js';
import type { FoundFault, LatchesStore, ReleasedBy } from './latches.store.js';

export interface KnownLatchesParts {
  readonly store: LatchesStore;
  readonly policy: ProbePolicy;
  readonly log: FieldLog;
  readonly metrics: Metrics;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly onReleased: (lane: Lane) => void;
  /** A lane was shut, or its probe is due. */
  readonly onChanged: () => void;
}

interface Known {
  readonly latch: Latch;
  readonly sinceMs: number;
}

export class KnownLatches {
  readonly #held = new Map<string, Known>();
  readonly #releasedAtMs = new Map<string, number>();
  readonly #settings = new Map<string, Promise<void>>();
  /** Latches whose probe is due, and has not been asked for since that was read. */
  #due = new Set<string>();

  constructor(private readonly parts: KnownLatchesParts) {}

  get held(): readonly Latch[] {
    return [...this.#held.values()].map(({ latch }) => latch);
  }

  /** The latch that stops such a call; that of its account before that of its model. */
  on({ account, model }: Lane): Latch | null {
    if (this.#held.size === 0) return null;
    const known =
      this.#held.get(laneKey({ account, model: null })) ??
      this.#held.get(laneKey({ account, model }));
    return known?.latch ?? null;
  }

  /** Whether one call of the fleet may go through, to see. */
  isProbeDue({ latchId }: Latch): boolean {
    return this.#due.has(latchId);
  }

  /** The latch as it is when the call that asks is its probe; null: it is not (N4). */
  async takeProbe(latch: Latch): Promise<Latch | null> {
    const { store, policy, log } = this.parts;
    const { latchId } = latch;
    if (!this.#due.delete(latchId)) return null;
    const nextInMs = probeDelayMs({ ...latch, probes: latch.probes + 1 }, policy);
    try {
      const probes = await store.takeProbe(latchId, nextInMs);
      if (probes === null) return null;
      log.info({ ...fieldsOf(latch) }, 'one call goes through, to see whether the lane is mended');
      return { ...latch, probes };
    } catch (error) {
      log.warn({ error, latchId }, 'a probe could not be taken; it is due again');
      return null;
    }
  }

  /** The call that took the probe did not leave: another one may be it, at once. */
  async giveProbeBack({ latchId, probes }: Latch): Promise<void> {
    if (await this.parts.store.giveProbeBack(latchId, probes)) this.#setDue(latchId);
  }

  /**
   * Resolves when the lane is known to be latched, by this fault or an earlier one.
   * @param enteredAtMs monotonic: when the call that met the fault set out
   */
  async set(found: Omit<FoundFault, 'firstProbeMs'>, enteredAtMs: number): Promise<void> {
    const model = found.failure.breaker === 'latch_account' ? null : found.lane.model;
    const lane = { account: found.lane.account, model };
    const key = laneKey(lane);
    if (this.#held.has(key)) return;
    if ((this.#releasedAtMs.get(key) ?? -Infinity) > enteredAtMs) return; // (N3)
    const setting = this.#settings.get(key) ?? this.#set({ ...found, lane });
    this.#settings.set(key, setting);
    try {
      await setting;
    } finally {
      this.#settings.delete(key);
    }
  }

  async #set(found: Omit<FoundFault, 'firstProbeMs'>): Promise<void> {
    const { store, policy, log, metrics } = this.parts;
    const firstProbeMs = probeDelayMs({ class: found.class, probes: 0 }, policy);
    const set = await store.set({ ...found, firstProbeMs });
    if (set === null) return;
    const { latch, isOurs } = set;
    if (isOurs) {
      log.error({ ...fieldsOf(latch) }, 'gateway latched: runs wait until it is released');
      metrics.add('holdfast_latches_total', { class: latch.class, change: 'set' });
    }
    this.#learn(latch); // (N1)
  }

  /** False: it was not held any more. */
  async release(latchId: string, by: ReleasedBy): Promise<boolean> {
    const { store, log, metrics } = this.parts;
    const latch = await store.release(latchId, by);
    if (latch === null) return false;
    log.warn({ ...fieldsOf(latch), by }, 'gateway released: calls leave again, the first alone');
    metrics.add('holdfast_latches_total', { class: latch.class, change: `released_by_${by}` });
    this.#forget(latch);
    return true;
  }

  /** What the database says now, and a probe where one is due. */
  async refresh(): Promise<void> {
    const { store, nowMs } = this.parts;
    const askedAtMs = nowMs();
    const held = await store.held();
    const ids = new Set(held.map(({ latchId }) => latchId));
    for (const { latch, sinceMs } of [...this.#held.values()])
      if (!ids.has(latch.latchId) && sinceMs < askedAtMs) this.#forget(latch); // (N2)
    for (const latch of held) {
      const releasedAtMs = this.#releasedAtMs.get(laneKey(latch)) ?? -Infinity;
      if (releasedAtMs < askedAtMs) this.#learn(latch); // (N2)
    }
    this.#due = new Set(held.flatMap(({ latchId, isProbeDue }) => (isProbeDue ? [latchId] : [])));
    if (this.#due.size > 0) this.parts.onChanged();
  }

  #setDue(latchId: string): void {
    this.#due.add(latchId);
    this.parts.onChanged();
  }

  #learn(latch: Latch): void {
    const key = laneKey(latch);
    const known = this.#held.get(key);
    const isNew = known?.latch.latchId !== latch.latchId;
    const sinceMs = isNew ? this.parts.nowMs() : known.sinceMs;
    this.#held.set(key, { latch, sinceMs });
    if (isNew) this.parts.onChanged();
  }

  #forget(latch: Latch): void {
    const key = laneKey(latch);
    if (this.#held.get(key)?.latch.latchId !== latch.latchId) return;
    this.#held.delete(key);
    this.#due.delete(latch.latchId);
    this.#releasedAtMs.set(key, this.parts.nowMs());
    this.parts.onReleased(latch);
  }
}

const fieldsOf = ({
  latchId,
  account,
  model,
  class: failed,
  code,
  httpStatus,
  requestId,
}: Latch) => ({
  ...{ latchId, account, model, class: failed, code, httpStatus, requestId },
});
