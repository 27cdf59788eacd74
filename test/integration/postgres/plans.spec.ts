/**
 * Hot statements are planned once, and often while their tables are empty. What was planned then must still find its rows by key
 * when there are a hundred thousand: no statistics may be needed for that.
 * Real: Postgres, as the migrations leave it. Stands in: nothing.
 */
import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import pg from 'pg';
import { KafkaConnection, Outbox, OutboxRelay, silentLog as log } from '#libs/messaging';
import { Database, hotStatements, PLANNER_OPTIONS } from '#libs/postgres';
import { freshDatabase, type FreshDatabase, kafkaBrokers } from '../../support/stack.js';

const root = resolve(import.meta.dirname, '../../..');
const naming = globSync('{apps,libs}/*/src/**/*.ts', { cwd: root })
  .map((file) => resolve(root, file))
  .filter(
    (file) => !file.endsWith('.spec.ts') && readFileSync(file, 'utf8').includes('hotStatement('),
  );
for (const file of naming) await import(file);
for (const schema of ['api', 'processor']) nameOutbox(schema);

/** One row per tenant and model: read whole, for the fairest is sought among them. */
const small = ['lanes'];

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Alias?: string;
  readonly Schema?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Join Filter'?: string;
  readonly 'Parent Relationship'?: string;
  readonly Plans?: readonly PlanNode[];
}

let fresh: FreshDatabase;
let client: pg.Client;
let columnsOf: ReadonlyMap<string, readonly string[]>;
beforeAll(async () => {
  fresh = await freshDatabase('migrated');
  client = new pg.Client({ connectionString: fresh.url, options: PLANNER_OPTIONS });
  await client.connect();
  columnsOf = await indexColumns();
});
afterAll(async () => {
  await client?.end();
  await fresh?.drop();
});

it('are all of them known here', () => {
  expect(hotStatements().length).toBeGreaterThan(20);
});

it.each(hotStatements().map((statement) => [statement.name, statement] as const))(
  '%s finds its rows by key, whatever is known of its tables',
  async (_, { text }) => {
    const { rows } = await client.query<{ 'QUERY PLAN': readonly { Plan: PlanNode }[] }>(
      `EXPLAIN (GENERIC_PLAN, VERBOSE, FORMAT JSON) ${text}`,
    );
    const found = nodesOf(rows[0]!['QUERY PLAN'][0]!.Plan);
    expect(found.flatMap(readsWhole)).toEqual([]);
    expect(found.flatMap(comparesEachWithEach)).toEqual([]);
  },
);

/** A scan that goes through more of a table than what it looks for. */
function readsWhole(node: PlanNode): string[] {
  const { 'Node Type': type, 'Relation Name': table = '', 'Index Name': index } = node;
  if (type === 'Seq Scan' && !small.includes(table)) return [`${table}, row by row`];
  if (index === undefined) return [];
  const condition = node['Index Cond'] ?? '';
  const columns = columnsOf.get(index) ?? [];
  const given = columns.map((column) => namesColumn(condition, node.Alias, column));
  const isPrefix = given[0] === true && !given.slice(0, given.lastIndexOf(true)).includes(false);
  return isPrefix ? [] : [`${index} (${columns.join(', ')}) by ${condition || 'nothing'}`];
}

/** VERBOSE names each column with its table; a bitmap does not say which is its own. */
function namesColumn(condition: string, table: string | undefined, column: string): boolean {
  const own = `${table ?? '\\w+'}\\.`;
  return new RegExp(`(^|[^.\\w])${own}"?${column}"?([^\\w]|$)`).test(condition);
}

/** A nested loop is quick where the inner side is looked up; else each row of the one meets each of the other. */
function comparesEachWithEach(node: PlanNode): string[] {
  if (node['Node Type'] !== 'Nested Loop' || node['Join Filter'] === undefined) return [];
  const inner = node.Plans?.find((each) => each['Parent Relationship'] === 'Inner');
  if (inner?.['Index Cond'] !== undefined) return [];
  const scanned = nodesOf(node).flatMap((each) => each['Relation Name'] ?? []);
  return scanned.every((table) => small.includes(table)) && scanned.length > 0
    ? []
    : [node['Join Filter']];
}

/** They name their statements when they are made; nothing is asked here. */
function nameOutbox(schema: string): void {
  new Outbox({ schema, source: 'spec' });
  const database = new Database({ url: 'postgres://nobody', applicationName: 'spec' });
  const kafka = new KafkaConnection({ brokers: kafkaBrokers(), clientId: 'spec', log });
  new OutboxRelay({ schema, database, kafka, holder: 'spec', log });
}

function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** Index names are used once only, but for those of primary keys, which look alike in both schemas. */
async function indexColumns(): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await client.query<{ name: string; columns: string[] }>(`
    SELECT c.relname AS name, array_agg(coalesce(a.attname, '') ORDER BY k.place)::text[] AS columns
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
      LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE c.relnamespace IN ('api'::regnamespace, 'processor'::regnamespace, 'content'::regnamespace)
    GROUP BY i.indexrelid, c.relname`);
  return new Map(rows.map(({ name, columns }) => [name, columns]));
}
