import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { DecisionState } from '#libs/contracts';
import type { DecisionName } from '#libs/domain';

@Entity({
  schema: 'api',
  name: 'decisions',
  comment: 'What was decided about runs, and what became of it.',
})
@Index('decisions_pending', { synchronize: false })
@Index('decisions_by_result', { synchronize: false })
export class DecisionEntity {
  @PrimaryColumn({ type: 'text' })
  tenant!: string;

  @PrimaryColumn({ name: 'run_id', type: 'uuid' })
  runId!: string;

  /** UUIDv7: later decisions have greater ids. */
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ type: 'text' })
  decision!: DecisionName;

  @Column({
    type: 'text',
    default: 'pending',
    comment: "pending until the processor's event says applied or refused.",
  })
  state!: DecisionState;

  @Column({ type: 'text', nullable: true, comment: 'Why somebody decided so.' })
  reason!: string | null;

  @Column({
    name: 'command_id',
    type: 'text',
    nullable: true,
    comment:
      'The record that brought it, where it came over Kafka: delivered again, it is the same decision.',
  })
  commandId!: string | null;

  @Column({ name: 'refusal_code', type: 'text', nullable: true })
  refusalCode!: string | null;

  @Column({ name: 'refusal_reason', type: 'text', nullable: true })
  refusalReason!: string | null;

  @Column({ name: 'decided_at', type: 'timestamptz' })
  decidedAt!: Date;

  @Column({ name: 'answered_at', type: 'timestamptz', nullable: true })
  answeredAt!: Date | null;

  @Column({
    name: 'result_ref',
    type: 'text',
    nullable: true,
    comment: 'Of a completion by hand: the result, in the content store.',
  })
  resultRef!: string | null;

  @Column({
    name: 'max_cost_usd',
    type: 'text',
    nullable: true,
    comment: 'Of a redrive: the budget that it brings along.',
  })
  maxCostUsd!: string | null;

  @Column({
    type: 'int',
    default: 0,
    comment: 'How often it was sent again because no answer came.',
  })
  asks!: number;

  @Column({ name: 'asked_at', type: 'timestamptz', nullable: true })
  askedAt!: Date | null;
}
