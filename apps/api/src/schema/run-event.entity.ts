import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { RunStatus } from '#libs/domain';

/** A run's history: each fact once, in the order of `version`. */
@Entity({ schema: 'api', name: 'run_events' })
export class RunEventEntity {
  @PrimaryColumn({ type: 'text' })
  tenant!: string;

  @PrimaryColumn({ name: 'run_id', type: 'uuid' })
  runId!: string;

  @PrimaryColumn({ type: 'int' })
  version!: number;

  /** `ce_id`. */
  @Column({ name: 'event_id', type: 'text' })
  eventId!: string;

  /** `ce_type`. */
  @Column({ type: 'text' })
  type!: string;

  @Column({ type: 'text' })
  status!: RunStatus;

  @Column({ name: 'occurred_at', type: 'timestamptz' })
  occurredAt!: Date;

  /** The event as it was published. */
  @Column({ type: 'json' })
  body!: unknown;
}
