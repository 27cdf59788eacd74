import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { CostPart, UsagePart } from '#libs/contracts';
import type { RunFailure, RunPriority, RunProgress, RunStatus, Waiting } from '#libs/domain';

/**
 * One run as the api knows it: what was asked (never changes) and where it stands (follows the run's events).
 * Columns of free form are `json`, not `jsonb`: a failure or a result may hold an escaped U+0000, which `jsonb` refuses.
 */
@Entity({
  schema: 'api',
  name: 'runs',
  comment:
    "One row per run: what was asked, which never changes, and where it stands, which follows the run's events.",
})
@Index('runs_idempotency_key', ['idempotencyKey', 'tenant'], { unique: true })
@Index('runs_by_status', ['status', 'tenant', 'id'])
@Index('runs_by_workflow', ['workflow', 'tenant', 'id'])
@Index('runs_by_reference', ['reference', 'tenant', 'id'])
@Index('runs_ended', { synchronize: false })
@Index('runs_expired', { synchronize: false })
@Index('runs_by_input', { synchronize: false })
@Index('runs_by_result', { synchronize: false })
@Index('runs_by_document', { synchronize: false })
@Index('runs_unfinished', { synchronize: false })
@Index('runs_asked', { synchronize: false })
export class RunEntity {
  @PrimaryColumn({ type: 'text' })
  tenant!: string;

  @PrimaryColumn({
    type: 'uuid',
    comment: 'UUIDv7: newer runs have greater ids, so pages are cut by id.',
  })
  id!: string;

  @Column({
    name: 'idempotency_key',
    type: 'text',
    nullable: true,
    comment: 'null for a run that only its events told of.',
  })
  idempotencyKey!: string | null;

  @Column({
    name: 'body_hash',
    type: 'bytea',
    nullable: true,
    comment: "SHA-256 of the body's RFC 8785 form, before defaults.",
  })
  bodyHash!: Buffer | null;

  @Column({ type: 'text' })
  workflow!: string;

  @Column({
    name: 'workflow_version',
    type: 'int',
    comment: 'Pinned when the run was accepted.',
  })
  workflowVersion!: number;

  @Column({
    name: 'input_ref',
    type: 'text',
    nullable: true,
    comment: 'The input, in the content store.',
  })
  inputRef!: string | null;

  @Column({ type: 'jsonb' })
  documents!: string[];

  @Column({ type: 'text' })
  priority!: RunPriority;

  @Column({ name: 'deadline_at', type: 'timestamptz', nullable: true })
  deadlineAt!: Date | null;

  @Column({ type: 'text', nullable: true })
  reference!: string | null;

  @Column({ type: 'jsonb' })
  labels!: Record<string, string>;

  @Column({ type: 'text' })
  status!: RunStatus;

  @Column({
    type: 'int',
    default: 0,
    comment: 'Of the newest event that is applied; 0: accepted, no event yet.',
  })
  version!: number;

  @Column({ type: 'int', default: 0, comment: 'Changes of the view that no new event made.' })
  revision!: number;

  @Column({
    type: 'boolean',
    default: false,
    comment: 'A cancel was asked for and is not answered yet; likewise the three after it.',
  })
  cancelling!: boolean;

  @Column({ name: 'redrive_pending', type: 'boolean', default: false })
  redrivePending!: boolean;

  @Column({ name: 'discard_pending', type: 'boolean', default: false })
  discardPending!: boolean;

  @Column({ name: 'completion_pending', type: 'boolean', default: false })
  completionPending!: boolean;

  @Column({ type: 'int' })
  attempt!: number;

  @Column({ name: 'max_attempts', type: 'int' })
  maxAttempts!: number;

  @Column({ type: 'json', nullable: true })
  waiting!: Waiting | null;

  @Column({ name: 'next_attempt_at', type: 'timestamptz', nullable: true })
  nextAttemptAt!: Date | null;

  @Column({ type: 'json', nullable: true })
  progress!: RunProgress | null;

  @Column({ type: 'json', nullable: true })
  usage!: UsagePart | null;

  @Column({
    type: 'json',
    nullable: true,
    comment: 'What its calls have cost, as its newest end or stop told it.',
  })
  cost!: CostPart | null;

  @Column({
    name: 'max_cost_usd',
    type: 'text',
    nullable: true,
    comment: "The run's budget in dollars; a redrive may have brought another one.",
  })
  maxCostUsd!: string | null;

  @Column({ type: 'json', nullable: true })
  failure!: RunFailure | null;

  @Column({
    type: 'json',
    nullable: true,
    comment: 'The result where it came inline; else it is in the content store, under result_ref.',
  })
  result!: unknown;

  @Column({ name: 'result_ref', type: 'text', nullable: true })
  resultRef!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column({ name: 'started_at', type: 'timestamptz', nullable: true })
  startedAt!: Date | null;

  @Column({ name: 'ended_at', type: 'timestamptz', nullable: true })
  endedAt!: Date | null;

  @Column({
    name: 'expired_at',
    type: 'timestamptz',
    nullable: true,
    comment:
      'Since then history, result, reference and labels are gone; the row keeps its key from making a second run.',
  })
  expiredAt!: Date | null;

  @Column({
    name: 'moved_at',
    type: 'timestamptz',
    default: () => 'now()',
    comment: 'When an event last changed the view.',
  })
  movedAt!: Date;

  @Column({ type: 'int', default: 0, comment: 'How often its request was sent again since then.' })
  asks!: number;

  @Column({ name: 'asked_at', type: 'timestamptz', nullable: true, comment: 'When it last was.' })
  askedAt!: Date | null;

  @Column({
    name: 'confirmed_at',
    type: 'timestamptz',
    nullable: true,
    comment: 'When the processor last said, asked, that nothing has changed since.',
  })
  confirmedAt!: Date | null;
}
