import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

@Entity({
  schema: 'api',
  name: 'refused_commands',
  comment: 'Commands that were refused: delivered again, they are not taken after all.',
})
@Index('refused_commands_by_age', ['refusedAt'])
export class RefusedCommandEntity {
  @PrimaryColumn({
    type: 'text',
    comment: "Made of the record's place and time in the log; also ce_id of the refusal.",
  })
  id!: string;

  @Column({ type: 'text' })
  code!: string;

  @Column({ name: 'refused_at', type: 'timestamptz', default: () => 'now()' })
  refusedAt!: Date;
}
