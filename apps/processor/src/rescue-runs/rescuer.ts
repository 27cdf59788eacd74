/** Every two seconds: takes runs from owners that are gone, and retries whose message is. Each rescue is one log line. */
import { runIdOf } from '#libs/domain';
import type { Metrics } from '#libs/metrics';
import type { FieldLog } from '#libs/process';
import { repeat } from '../repeat.js';
import { aboutRun } from '../schema/index.js';
import type { RescueRunsStore } from './rescue-runs.store.js';

const RESCUE_EVERY_MS = 2_000;
/** Past this the retry's own message is not waited for any longer. */
const RETRY_OVERDUE_MS = 4_000;

const LATE = { outcome: 'failed', class: 'deadline_exceeded' } as const;

export class Rescuer {
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private rescued = 0;

  constructor(
    private readonly store: RescueRunsStore,
    private readonly log: FieldLog,
    private readonly metrics: Metrics,
    /** Something became ready, or has to be published. */
    private readonly onRescued: () => void,
  ) {}

  start(): void {
    const { log } = this;
    this.running = repeat(
      'rescuing',
      RESCUE_EVERY_MS,
      () => this.round(),
      log,
      this.stopping.signal,
    );
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Since the start of this process. */
  get count(): number {
    return this.rescued;
  }

  private async round(): Promise<void> {
    const expired = await this.store.rescueExpired((runId, error) =>
      this.log.error({ runId: runIdOf(runId), error }, 'run could not be taken back; see its row'),
    );
    for (const run of expired) {
      const { owner, fence, lost_leases: lostBefore } = run;
      this.log.warn(
        { ...aboutRun(run), owner, fence, lostBefore },
        'lease expired; run taken back',
      );
    }
    const overdue = await this.store.admitOverdue(RETRY_OVERDUE_MS);
    if (overdue > 0)
      this.log.warn({ runs: overdue }, 'retries overdue; admitted without their message');
    const late = await this.store.endLate();
    this.metrics.add('holdfast_run_outcomes_total', LATE, late);
    this.metrics.add('holdfast_rescues_total', { kind: 'lease_expired' }, expired.length);
    this.metrics.add('holdfast_rescues_total', { kind: 'retry_overdue' }, overdue);
    this.rescued += expired.length + overdue;
    if (expired.length + overdue + late > 0) this.onRescued();
  }
}
