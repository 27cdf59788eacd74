/** Takes what the events topic holds into the read model: applies, parks, sets aside; a record is done when one of them is stored. */
import { parseSpendSettled, RUN_SPEND_SETTLED } from '#libs/contracts';
import { isRunId } from '#libs/domain';
import type { Metrics } from '#libs/metrics';
import type { ReceivedMessage, UndecodableRecord } from '#libs/messaging';
import { isRowRejection } from '#libs/postgres';
import { wordsOf, type FieldLog } from '#libs/process';
import { isAnswer } from './answer-decisions.store.js';
import { problemsOf, readEvent, type IncomingEvent } from './incoming-event.js';
import type { ParkedEventsStore, SetAside, WaitingEvent } from './parked-events.store.js';
import type { ProjectEventsStore, Projection } from './project-events.store.js';
import type { SettleSpendStore } from './settle-spend.store.js';

export interface ProjectionCounts {
  applied: number;
  duplicates: number;
  filledIn: number;
  parked: number;
  /** Events applied though a version before them never came. */
  gaps: number;
  setAside: number;
}

export class ProjectRuns {
  readonly counts: ProjectionCounts = {
    applied: 0,
    duplicates: 0,
    filledIn: 0,
    parked: 0,
    gaps: 0,
    setAside: 0,
  };

  constructor(
    private readonly events: ProjectEventsStore,
    private readonly parked: ParkedEventsStore,
    private readonly spend: SettleSpendStore,
    private readonly log: FieldLog,
    /** Tells the streams that there is something new. */
    private readonly onApplied: () => void,
    private readonly metrics: Metrics,
  ) {}

  /** Resolves when the message is taken in or set aside; rejects only while Postgres cannot be reached. */
  async take(message: ReceivedMessage): Promise<void> {
    if (message.type === RUN_SPEND_SETTLED) return this.settleSpend(message);
    const read = readEvent(message);
    if (read.kind === 'unreadable') {
      const { id: eventId, type, data: body, position } = message;
      const { reason, problem } = read;
      return this.setAside({ position, reason, problem, eventId, type, body });
    }
    return this.orRefuse(read.event, () => this.project(read.event));
  }

  async takeUndecodable({ position, problem, headers, sizeBytes, bodyHash }: UndecodableRecord) {
    await this.setAside({
      position,
      reason: 'undecodable',
      problem: `${problem.code}: ${problem.reason} (${sizeBytes} bytes, sha256 ${bodyHash})`,
      eventId: headers['ce_id'] ?? null,
      type: headers['ce_type'] ?? null,
      body: null,
    });
  }

  /** No change of the run: it waits for nothing, and has no place in the history. */
  private async settleSpend(message: ReceivedMessage): Promise<void> {
    const { id: eventId, type, data: body, position } = message;
    const parsed = parseSpendSettled(message);
    if (parsed.kind !== 'parsed' || !isRunId(parsed.value.runId)) {
      const problem = parsed.kind === 'invalid' ? problemsOf(parsed) : '/runId is not a run id';
      return this.setAside({ position, reason: 'invalid', problem, eventId, type, body });
    }
    const { runId, afterVersion: version } = parsed.value;
    return this.orRefuse({ position, eventId, type }, async () => {
      const outcome = await this.spend.settle(parsed.value);
      if (outcome === 'unknown_run') {
        const problem = 'no such run is known: it was removed, or never came';
        return this.setAside({ position, reason: 'refused', problem, eventId, type, body });
      }
      this.metrics.add('holdfast_projected_events_total', { outcome });
      this.log.info({ runId, version, outcome }, 'what a run has spent was settled');
    });
  }

  /** An event that has waited long enough: applied whatever is missing before it, with all that then follows. */
  async takeOverdue(waiting: WaitingEvent): Promise<void> {
    const read = readEvent({ ...waiting }, true);
    if (read.kind === 'event') return this.orRefuse(read.event, () => this.project(read.event));
    await this.parked.setAsideInstead(waiting, read.reason, read.problem);
  }

  private async orRefuse(
    { position, eventId, type }: Pick<IncomingEvent, 'position' | 'eventId' | 'type'>,
    store: () => Promise<void>,
  ): Promise<void> {
    try {
      await store();
    } catch (error) {
      if (!isRowRejection(error)) throw error;
      const problem = wordsOf(error);
      await this.setAside({ position, reason: 'refused', problem, eventId, type, body: null });
    }
  }

  private async project(event: IncomingEvent): Promise<void> {
    const projection = await this.events.project(event);
    this.count(projection, event);
    if (event.repeated) await this.settleAsked(projection, event);
    if (projection.kind !== 'applied') return;
    this.onApplied();
    if (!projection.nextWaits) return;
    const next = await this.parked.nextOf(event.tenant, event.runUuid, event.version + 1);
    const read = next && readEvent(next);
    if (read?.kind === 'event') await this.project(read.event);
  }

  /** The processor was asked, and this is what it said: news, that had been lost, or what is known already. */
  private async settleAsked(projection: Projection, event: IncomingEvent): Promise<void> {
    if (projection.kind === 'duplicate') return this.events.confirm(event);
    const { type, version } = event;
    const { runId } = event.event.data;
    const what = isAnswer(event) ? 'answer' : 'event';
    this.metrics.add('holdfast_repairs_total', { what });
    this.log.warn(
      { runId, version, type, what },
      'it was lost on its way here, and has come again',
    );
  }

  private async setAside(record: SetAside): Promise<void> {
    await this.parked.setAside(record);
    this.counts.setAside += 1;
    this.metrics.add('holdfast_projected_events_total', { outcome: 'set_aside' });
    const { position, reason, problem, eventId, type } = record;
    this.log.warn({ ...position, reason, problem, eventId, type }, 'run event set aside');
  }

  private count(projection: Projection, event: IncomingEvent): void {
    const fields = { runId: event.event.data.runId, version: event.version, type: event.type };
    const isOverGap = projection.kind === 'applied' && projection.overGap;
    const outcome = isOverGap ? 'over_gap' : projection.kind;
    this.metrics.add('holdfast_projected_events_total', { outcome });
    switch (projection.kind) {
      case 'applied':
        this.counts.applied += 1;
        this.metrics.observe('holdfast_projection_lag_seconds', {}, lagSecondsOf(event));
        if (!projection.overGap) return;
        this.counts.gaps += 1;
        return this.log.warn(fields, 'run event applied over a gap');
      case 'duplicate':
        this.counts.duplicates += 1;
        return;
      case 'filled_in':
        this.counts.filledIn += 1;
        return this.log.warn(fields, 'late run event filled in');
      case 'parked':
        this.counts.parked += 1;
        return this.log.info({ ...fields, reason: projection.reason }, 'run event parked');
    }
  }
}

function lagSecondsOf({ event }: IncomingEvent): number {
  return (Date.now() - Date.parse(event.data.occurredAt)) / 1_000;
}
