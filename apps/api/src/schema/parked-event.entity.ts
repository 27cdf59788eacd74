import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Why an event could not be applied when it came. `gap` and `unknown_run` wait for their turn and are taken up again;
 * the others stay until a person, or a build that understands them, deals with them.
 */
export type ParkReason =
  'gap' | 'unknown_run' | 'undecodable' | 'unknown_type' | 'invalid' | 'refused';

@Entity({
  schema: 'api',
  name: 'parked_events',
  comment:
    'Events set aside, by their place in the log, so that the consumer goes on and nothing hides.',
})
@Index('parked_events_by_run', ['tenant', 'runId', 'version'])
@Index('parked_events_by_age', ['parkedAt'])
export class ParkedEventEntity {
  @PrimaryColumn({ type: 'text' })
  topic!: string;

  @PrimaryColumn({ type: 'int' })
  partition!: number;

  @PrimaryColumn({ type: 'bigint' })
  offset!: string;

  @Column({
    type: 'text',
    comment:
      'gap and unknown_run wait for their turn and are taken up again; the others stay until a person, or a build that understands them, deals with them.',
  })
  reason!: ParkReason;

  @Column({
    type: 'text',
    nullable: true,
    comment: 'What is wrong, in one line; null where waiting is all.',
  })
  problem!: string | null;

  @Column({ type: 'text', nullable: true })
  tenant!: string | null;

  @Column({ name: 'run_id', type: 'uuid', nullable: true })
  runId!: string | null;

  @Column({ type: 'int', nullable: true })
  version!: number | null;

  @Column({ name: 'event_id', type: 'text', nullable: true })
  eventId!: string | null;

  @Column({ type: 'text', nullable: true })
  type!: string | null;

  @Column({ type: 'json', nullable: true })
  body!: unknown;

  @Column({ name: 'parked_at', type: 'timestamptz', default: () => 'now()' })
  parkedAt!: Date;
}
