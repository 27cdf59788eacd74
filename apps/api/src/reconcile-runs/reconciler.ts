/**
 * Asks the processor about what has gone silent: runs whose view has not moved for longer than their state allows, and decisions
 * without an answer. The request itself is sent again, with the same dispatch. A processor that never got it takes it up; one that
 * knows the run says once more what it said last, and a view that missed it is repaired. So lost messages heal in either
 * direction, and nobody has to know which way one was lost.
 *
 * (R1) One api at a time, by lease. Two at once would only ask twice.
 * (R2) Small bites: at most MAX_ASKED questions a round. And none while the outbox stands still: Kafka is away then, everything is
 *      silent, and nothing would be heard sooner for being asked.
 * (R3) A round that fails is logged, and the next one begins anew.
 */
import type { Metrics } from '#libs/metrics';
import type { OutboxRelay } from '#libs/messaging';
import { LeaderLease, type Database, type Term } from '#libs/postgres';
import { runIdOf } from '#libs/domain';
import type { FieldLog } from '#libs/process';
import { setTimeout as sleep } from 'node:timers/promises';
import { decideAsk, type Silence, type SilencePolicy } from './decide-ask.js';
import {
  FROM_THE_START,
  type Page,
  type RunKey,
  type SilentDecision,
  type SilentRun,
  type SilentRunsStore,
} from './silent-runs.store.js';

const MAX_ASKED = 100;
const PAGE_ROWS = 1_000;
/** So many pages a round: runs beyond them come with the next one. */
const MAX_PAGES = 10;
/** A row is on Kafka within milliseconds where all is well. */
const STANDS_STILL_MS = 5_000;
/** Rounds in one silence. */
const ROUNDS = 12;

export interface ReconcilerOptions {
  readonly database: Database;
  readonly store: SilentRunsStore;
  readonly relay: Pick<OutboxRelay, 'hint' | 'oldestMs'>;
  readonly policy: SilencePolicy;
  /** Unique per process. */
  readonly holder: string;
  readonly log: FieldLog;
  readonly metrics: Metrics;
}

export class Reconciler {
  private readonly stopping = new AbortController();
  private readonly everyMs: number;
  private running: Promise<void> = Promise.resolve();
  /** The walk goes on behind this run. */
  private place = FROM_THE_START;

  constructor(private readonly options: ReconcilerOptions) {
    this.everyMs = options.policy.silenceMs / ROUNDS;
  }

  start(): void {
    this.running = this.seekLeadership();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** @returns how many runs and decisions were asked about */
  async round(): Promise<number> {
    const { relay } = this.options;
    if ((await relay.oldestMs()) > STANDS_STILL_MS) return 0; // (R2)
    const asked = (await this.askAboutDecisions()) + (await this.askAboutRuns());
    if (asked > 0) relay.hint();
    return asked;
  }

  private async seekLeadership(): Promise<void> {
    const { database: sql, holder, log } = this.options;
    const onError = (error: Error) => log.warn({ error }, 'the reconciler has no lease');
    const lease = new LeaderLease({ sql, schema: 'api', name: 'reconciler', holder, onError });
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await lease.run((term) => this.lead(term), signal).catch(onError); // (R1)
      await pause(this.everyMs, signal);
    }
  }

  private async lead({ signal }: Term): Promise<void> {
    while (!signal.aborted) {
      await pause(this.everyMs, signal);
      if (signal.aborted) return;
      try {
        await this.round();
      } catch (error) {
        this.options.log.warn({ error }, 'reconciling failed; trying again'); // (R3)
      }
    }
  }

  private async askAboutRuns(): Promise<number> {
    const { store, log } = this.options;
    const due: SilentRun[] = [];
    for (let page = 0; page < MAX_PAGES && due.length < MAX_ASKED; page++) {
      const found = await store.runsAfter(this.place, PAGE_ROWS);
      const asking = this.dueOf(found).slice(0, MAX_ASKED - due.length);
      due.push(...asking);
      this.place = placeAfter(found.silences, due.length < MAX_ASKED ? undefined : asking.at(-1));
      if (this.place === FROM_THE_START) break;
    }
    const asked = due.length === 0 ? [] : await store.askAboutRuns(due);
    for (const { runUuid, tenant, version, status, asks, isStuck } of asked) {
      const fields = { runId: runIdOf(runUuid), tenant, version, status, asks: asks + 1 };
      if (isStuck)
        log.warn(fields, 'run is stuck: nothing is heard of it, though it was asked for');
      else log.info(fields, 'nothing heard of a run; the processor is asked');
    }
    this.options.metrics.add('holdfast_reemissions_total', { what: 'run' }, asked.length);
    return asked.length;
  }

  private async askAboutDecisions(): Promise<number> {
    const { store, log, metrics, policy } = this.options;
    const pending = await store.decisions(policy.horizonMs, PAGE_ROWS);
    const due: readonly SilentDecision[] = this.dueOf(pending).slice(0, MAX_ASKED);
    const asked = due.length === 0 ? [] : await store.askAboutDecisions(due);
    for (const { runUuid, tenant, decisionUuid, asks } of asked) {
      log.info(
        { runId: runIdOf(runUuid), tenant, decisionId: decisionUuid, asks: asks + 1 },
        'a decision has no answer; it is sent again',
      );
    }
    metrics.add('holdfast_reemissions_total', { what: 'decision' }, asked.length);
    return asked.length;
  }

  private dueOf<Each extends Silence>({ silences, nowMs }: Page<Each>): Each[] {
    const { policy } = this.options;
    return silences.filter((silence) => decideAsk(silence, policy, nowMs).kind === 'ask');
  }
}

/** Behind the last run that was asked about, where that was enough; else behind the page; at its end from the start again. */
function placeAfter(page: readonly SilentRun[], lastAsked: SilentRun | undefined): RunKey {
  if (lastAsked !== undefined) return lastAsked;
  return page.length < PAGE_ROWS ? FROM_THE_START : page.at(-1)!;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
