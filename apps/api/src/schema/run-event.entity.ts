import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { RunStatus } from '#libs/domain';

@Entity({
  schema: 'api',
  name: 'run_events',
  comment: "A run's history: each fact once, in the order of version.",
})
export class RunEventEntity {
  @PrimaryColumn({ type: 'text' })
  tenant!: string;

  @PrimaryColumn({ name: 'run_id', type: 'uuid' })
  runId!: string;

  @PrimaryColumn({ type: 'int' })
  version!: number;

  @Column({ name: 'event_id', type: 'text', comment: 'ce_id' })
  eventId!: string;

  @Column({ type: 'text', comment: 'ce_type' })
  type!: string;

  @Column({ type: 'text' })
  status!: RunStatus;

  @Column({ name: 'occurred_at', type: 'timestamptz' })
  occurredAt!: Date;

  @Column({ type: 'json', comment: 'The event as it was published.' })
  body!: unknown;
}
