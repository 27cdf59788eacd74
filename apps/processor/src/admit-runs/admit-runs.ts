/**
 * Settles one work record: into our own tables, or to the dead letters. Resolves when that is committed; rejects only where the
 * same record can succeed later. One that never could would hold its partition for ever.
 */
import { runIdOf } from '#libs/domain';
import type { Metrics } from '#libs/metrics';
import type { OutboxRelay, ReceivedMessage, UndecodableRecord } from '#libs/messaging';
import { isRowRejection } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import { activeSpan, traceIdOf } from '#libs/tracing';
import type { WorkflowCatalogue } from '#libs/workflows';
import type { AdmitRunsStore } from './admit-runs.store.js';
import { refusedRecord, undecodableRecord, type DeadRecordsStore } from './dead-records.store.js';
import type { Admission } from './decide-admission.js';
import { readWork, type IncomingWork } from './incoming-work.js';

export interface AdmitRunsTools {
  readonly store: AdmitRunsStore;
  readonly deadRecords: DeadRecordsStore;
  readonly workflows: WorkflowCatalogue;
  readonly relay: Pick<OutboxRelay, 'hint'>;
  readonly log: FieldLog;
  readonly metrics: Metrics;
  /** Told when something may be claimed. */
  readonly onReady: () => void;
}

export class AdmitRuns {
  constructor(private readonly tools: AdmitRunsTools) {}

  async admit(message: ReceivedMessage): Promise<void> {
    const read = readWork(message, this.tools.workflows);
    if (read.kind === 'refused') {
      return this.bury(refusedRecord(message, read.code, read.reason));
    }
    const admission = await this.write(read.work);
    activeSpan().set({
      'holdfast.run.id': runIdOf(read.work.runId),
      'holdfast.run.dispatch': read.work.dispatch,
      'holdfast.admission': admission.kind,
    });
    this.count(admission);
    switch (admission.kind) {
      case 'row_refused':
        return this.bury(refusedRecord(message, 'row_refused', ROW_REFUSED));
      case 'insert':
      case 'make_ready':
        this.tools.onReady();
        return;
      case 'hop':
        this.tools.relay.hint();
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

  undecodable(record: UndecodableRecord): Promise<void> {
    return this.bury(undecodableRecord(record));
  }

  private async write(work: IncomingWork): Promise<Admission | { readonly kind: 'row_refused' }> {
    try {
      return await this.tools.store.admit(work);
    } catch (error) {
      if (isRowRejection(error)) return { kind: 'row_refused' };
      throw error;
    }
  }

  private count(admission: Admission | { readonly kind: 'row_refused' }): void {
    if (admission.kind === 'row_refused') return; // it is counted as a dead record
    const kind = admission.kind === 'settle' ? admission.because : admission.kind;
    this.tools.metrics.add('holdfast_admissions_total', { kind });
  }

  private async bury(dead: ReturnType<typeof undecodableRecord>): Promise<void> {
    await this.tools.deadRecords.bury(dead);
    this.tools.relay.hint();
    const { code, reason, record } = dead;
    this.tools.metrics.add('holdfast_dead_records_total', { code });
    this.tools.log.warn({ code, reason, ...record.position }, 'record sent to the dead letters');
  }
}

/** Postgres' own words may quote the value. */
const ROW_REFUSED =
  'Postgres refuses a value of it: a text with U+0000, a number or an instant out of range';
