/**
 * Settles one work record: into our own tables, or to the dead letters. Resolves when that is committed; rejects only where the
 * same record can succeed later. One that never could would hold its partition for ever.
 */
import { decisionNameOf } from '#libs/contracts';
import { runIdOf } from '#libs/domain';
import type { Metrics } from '#libs/metrics';
import type { OutboxRelay, ReceivedMessage, UndecodableRecord } from '#libs/messaging';
import { isRowRejection } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import { activeSpan, traceIdOf } from '#libs/tracing';
import type { WorkflowCatalogue } from '#libs/workflows';
import type { AdmitRunsStore, Arrival } from './admit-runs.store.js';
import type { DecisionAdmission } from './apply-decisions.store.js';
import { refusedRecord, undecodableRecord, type DeadRecordsStore } from './dead-records.store.js';
import type { Admission } from './decide-admission.js';
import type { GivenResultsStore } from './given-results.store.js';
import { readDecision, type IncomingDecision, type ReadDecision } from './incoming-decision.js';
import { readWork } from './incoming-work.js';
import { readUnread, type UnreadRecord } from './unread-request.js';

export interface AdmitRunsTools {
  readonly store: AdmitRunsStore;
  readonly deadRecords: DeadRecordsStore;
  readonly givenResults: Pick<GivenResultsStore, 'check'>;
  readonly workflows: WorkflowCatalogue;
  readonly relay: Pick<OutboxRelay, 'hint'>;
  readonly log: FieldLog;
  readonly metrics: Metrics;
  /** Told when something may be claimed. */
  readonly onReady: () => void;
  /** Told when the owner of a run, perhaps this process, has a cancel to learn of. */
  readonly onCancelStored: () => void;
}

type ReadArrival =
  | { readonly kind: 'arrival'; readonly arrival: Arrival }
  | Extract<ReadDecision, { kind: 'refused' }>;

export class AdmitRuns {
  constructor(private readonly tools: AdmitRunsTools) {}

  async admit(message: ReceivedMessage): Promise<void> {
    const read = await this.read(message);
    if (read.kind === 'refused') {
      await this.bury(refusedRecord(message, read.code, read.reason));
      return this.showRun(message, read.reason);
    }
    const admission = await this.write(read.arrival);
    activeSpan().set({
      'holdfast.run.id': runIdOf(read.arrival.runId),
      ...('dispatch' in read.arrival && { 'holdfast.run.dispatch': read.arrival.dispatch }),
      'holdfast.admission': admission.kind,
    });
    this.count(read.arrival, admission);
    switch (admission.kind) {
      case 'row_refused':
        return this.bury(refusedRecord(message, 'row_refused', ROW_REFUSED));
      case 'foreign':
        return this.bury(refusedRecord(message, 'tenant_mismatch', TENANT_MISMATCH));
      case 'insert':
      case 'make_ready':
        this.tools.onReady();
        return;
      case 'insert_forgotten':
      case 'sent_on':
        this.tools.onReady();
        this.tools.relay.hint();
        return;
      case 'hop':
      case 'bring_request':
      case 'repeat':
      case 'answered':
      case 'repeated':
        this.tools.relay.hint();
        return;
      case 'left_to_owner':
        this.tools.onCancelStored();
        return;
      case 'kept':
      case 'known':
        this.tools.log.debug(
          { runId: message.subject, because: admission.kind, ...message.position },
          'decision waits for its answer',
        );
        return;
      case 'settle':
        this.tools.log.debug(
          {
            runId: message.subject,
            traceId: traceIdOf(message.traceparent),
            because: admission.because,
            ...message.position,
          },
          'work settled without effect',
        );
        return;
    }
  }

  async undecodable(record: UndecodableRecord): Promise<void> {
    await this.bury(undecodableRecord(record));
    await this.showRun({ ...record, type: record.headers['ce_type'] }, record.problem.reason);
  }

  /** The run of a request that cannot be read goes before a person; only where nothing is known of it yet. */
  private async showRun(record: UnreadRecord, reason: string): Promise<void> {
    const work = readUnread(record, reason);
    if (work === null) return;
    const admission = await this.write(work);
    if (admission.kind !== 'insert') return;
    this.tools.relay.hint();
    const runId = runIdOf(work.runId);
    this.tools.log.warn({ runId, reason }, 'run whose request cannot be read waits for a person');
  }

  private async read(message: ReceivedMessage): Promise<ReadArrival> {
    if (!decisionNameOf(message.type)) {
      const read = readWork(message, this.tools.workflows);
      return read.kind === 'refused' ? read : { kind: 'arrival', arrival: read.work };
    }
    const read = readDecision(message);
    if (read.kind === 'refused') return read;
    return this.withResult(read.decision);
  }

  private async withResult(decision: IncomingDecision): Promise<ReadArrival> {
    try {
      const result = await this.tools.givenResults.check(decision);
      return { kind: 'arrival', arrival: { ...decision, result } };
    } catch (error) {
      if (!isRowRejection(error)) throw error;
      return { kind: 'refused', code: 'row_refused', reason: ROW_REFUSED };
    }
  }

  private async write(
    arrival: Arrival,
  ): Promise<Admission | DecisionAdmission | { readonly kind: 'row_refused' }> {
    try {
      return await this.tools.store.admit(arrival);
    } catch (error) {
      if (isRowRejection(error)) return { kind: 'row_refused' };
      throw error;
    }
  }

  private count(
    arrival: Arrival,
    admission: Admission | DecisionAdmission | { readonly kind: 'row_refused' },
  ): void {
    const { kind } = admission;
    if (kind === 'row_refused' || kind === 'foreign') return; // it is counted as a dead record
    const { metrics, log } = this.tools;
    metrics.add('holdfast_admissions_total', {
      kind: kind === 'settle' ? admission.because : kind,
    });
    const repaired = repairOf(arrival, kind);
    if (repaired === null) return;
    metrics.add('holdfast_repairs_total', { what: repaired });
    const runId = runIdOf(arrival.runId);
    log.warn({ runId, what: repaired }, 'it was lost on its way here, and has come again');
  }

  private async bury(dead: ReturnType<typeof undecodableRecord>): Promise<void> {
    await this.tools.deadRecords.bury(dead);
    this.tools.relay.hint();
    const { code, reason, record } = dead;
    this.tools.metrics.add('holdfast_dead_records_total', { code });
    this.tools.log.warn({ code, reason, ...record.position }, 'record sent to the dead letters');
  }
}

/** What was lost, where the message is one that the api has sent again; null: nothing, or it is none. */
function repairOf(
  arrival: Arrival,
  kind: (Admission | DecisionAdmission)['kind'],
): 'dispatch' | 'decision' | 'run' | null {
  if ('decisionId' in arrival) {
    const isNew = kind !== 'repeated' && kind !== 'known';
    return arrival.isReemitted && isNew ? 'decision' : null;
  }
  if (kind === 'insert_forgotten') return 'run';
  return kind === 'insert' && arrival.seenVersion !== null ? 'dispatch' : null;
}

const TENANT_MISMATCH = 'the run belongs to another tenant than the decision says';

/** Postgres' own words may quote the value. */
const ROW_REFUSED =
  'it cannot be stored as it is: a text with U+0000, a number or an instant out of range, or too much to tell';
