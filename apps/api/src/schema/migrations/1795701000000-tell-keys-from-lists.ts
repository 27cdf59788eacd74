import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Each with the columns that come beside the tenant: before it from now on, after it until now. */
const indexes = [
  { name: 'runs_by_status', first: 'status', last: ', id' },
  { name: 'runs_by_workflow', first: 'workflow', last: ', id' },
  { name: 'runs_by_reference', first: 'reference', last: ', id' },
  { name: 'runs_idempotency_key', unique: 'UNIQUE', first: 'idempotency_key', last: '' },
] as const;

/**
 * A statement that names runs by tenant and id must find them by the primary key, also where it is planned while the table is
 * empty: then every index that begins with the tenant looks just as cheap, and the wrong one reads every run of the tenant. With
 * the tenant in second place they serve what they are for as well as before, and no key.
 */
export class TellKeysFromLists1795701000000 implements MigrationInterface {
  name = 'TellKeysFromLists1795701000000';

  async up(runner: QueryRunner): Promise<void> {
    await recreate(runner, ({ first, last }) => `${first}, tenant${last}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await recreate(runner, ({ first, last }) => `tenant, ${first}${last}`);
  }
}

type Index = (typeof indexes)[number];

async function recreate(runner: QueryRunner, columnsOf: (index: Index) => string): Promise<void> {
  for (const index of indexes) {
    const unique = 'unique' in index ? index.unique : '';
    await runner.query(`DROP INDEX api.${index.name}`);
    await runner.query(`CREATE ${unique} INDEX ${index.name} ON api.runs (${columnsOf(index)})`);
  }
}
