import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { UsagePart } from '#libs/contracts';
import type { RunFailure, RunPriority, RunProgress, RunStatus, Waiting } from '#libs/domain';

/**
 * One run as the api knows it: what was asked (never changes) and where it stands (follows the run's events).
 * Columns of free form are `json`, not `jsonb`: a failure or a result may hold an escaped U+0000, which `jsonb` refuses.
 */
@Entity({ schema: 'api', name: 'runs' })
@Index('runs_idempotency_key', ['tenant', 'idempotencyKey'], { unique: true })
@Index('runs_by_status', ['tenant', 'status', 'id'])
@Index('runs_by_workflow', ['tenant', 'workflow', 'id'])
@Index('runs_by_reference', ['tenant', 'reference', 'id'])
export class RunEntity {
  @PrimaryColumn({ type: 'text' })
  tenant!: string;

  /** UUIDv7: newer runs have greater ids, so pages are cut by id. */
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  /** null for a run that only its events told of. */
  @Column({ name: 'idempotency_key', type: 'text', nullable: true })
  idempotencyKey!: string | null;

  /** SHA-256 of the body's RFC 8785 form, before defaults. */
  @Column({ name: 'body_hash', type: 'bytea', nullable: true })
  bodyHash!: Buffer | null;

  @Column({ type: 'text' })
  workflow!: string;

  /** Pinned when the run was accepted. */
  @Column({ name: 'workflow_version', type: 'int' })
  workflowVersion!: number;

  @Column({ name: 'input_ref', type: 'text', nullable: true })
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

  /** Version of the newest event that is applied; 0: accepted, no event yet. */
  @Column({ type: 'int', default: 0 })
  version!: number;

  /** Changes of the view that no new event made. */
  @Column({ type: 'int', default: 0 })
  revision!: number;

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

  @Column({ type: 'json', nullable: true })
  failure!: RunFailure | null;

  /** The result where it came inline; else it is in the content store, under `resultRef`. */
  @Column({ type: 'json', nullable: true })
  result!: unknown;

  @Column({ name: 'result_ref', type: 'text', nullable: true })
  resultRef!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column({ name: 'started_at', type: 'timestamptz', nullable: true })
  startedAt!: Date | null;

  @Column({ name: 'ended_at', type: 'timestamptz', nullable: true })
  endedAt!: Date | null;
}
