/**
 * `docs/database.md`: the tables as a freshly migrated Postgres has them, read from its catalogue. What they are for stands in the
 * database itself (`COMMENT ON`), put there by the migrations.
 */
import pg from 'pg';

/** In the order in which a run meets them. */
const schemas = ['api', 'processor', 'content'];
/** Each schema has one; TypeORM's, not ours. */
const notOurs = 'migrations';

interface Table {
  readonly schema: string;
  readonly name: string;
  readonly comment: string | null;
  readonly options: string[] | null;
  readonly columns: readonly Column[];
  /** As Postgres spells them, the primary key first. */
  readonly constraints: readonly string[];
  readonly indexes: readonly string[];
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly identity: boolean;
  readonly default: string | null;
  readonly comment: string | null;
}

export async function databasePage(databaseUrl: string): Promise<string> {
  const tables = await tablesOf(databaseUrl);
  const sections = schemas.map((schema) => {
    const own = tables.filter((table) => table.schema === schema);
    return [`## Schema \`${schema}\``, ...own.map(tableSection)].join('\n\n');
  });
  return `${[head, ...sections].join('\n\n')}\n`;
}

/** Tables and views of people's own making are none of ours; partitions are told by their parent. */
const CATALOGUE = `
  SELECT n.nspname AS schema, c.relname AS name, obj_description(c.oid, 'pg_class') AS comment, c.reloptions AS options,
    (SELECT json_agg(json_build_object(
        'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull,
        'identity', a.attidentity <> '', 'default', pg_get_expr(d.adbin, d.adrelid),
        'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum)
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    (SELECT coalesce(json_agg(pg_get_constraintdef(k.oid) ORDER BY strpos('pufcx', k.contype::text), k.conname), '[]')
      FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n') AS constraints,
    (SELECT coalesce(json_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid::regclass::text), '[]')
      FROM pg_index i WHERE i.indrelid = c.oid
        AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = c.oid)) AS indexes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> $2
  ORDER BY n.nspname, c.relname COLLATE "C"`;

async function tablesOf(databaseUrl: string): Promise<Table[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<Table>(CATALOGUE, [schemas, notOurs]);
    return rows;
  } finally {
    await client.end();
  }
}

const head = `# Database

<!-- Drawn from a freshly migrated database by \`npm run generate\`. Change the migrations, not this page. -->

The three schemas may live in one database or in three; nothing joins over them. Who writes which table is in
[architecture](architecture.md#tables-and-their-owners). Each schema also has a table \`migrations\`: what has been run there.`;

function tableSection({ schema, name, comment, columns, ...rest }: Table): string {
  const definitions = [...rest.constraints.map(code), ...rest.indexes.map(indexLine)];
  return [
    `### \`${schema}.${name}\``,
    cell(comment ?? 'No comment says what it is for.'),
    ['| Column | Type | Meaning |', '| --- | --- | --- |', ...columns.map(columnRow)].join('\n'),
    definitions.map((definition) => `- ${definition}`).join('\n'),
    ...(rest.options ? [`Stored with ${rest.options.map(code).join(', ')}.`] : []),
  ].join('\n\n');
}

function columnRow({ name, type, nullable, identity, default: value, comment }: Column): string {
  const marks = [
    ...(nullable ? ['or null'] : []),
    ...(identity ? ['counted by Postgres'] : []),
    ...(value === null ? [] : [`default ${code(value)}`]),
  ];
  return `| \`${name}\` | ${[code(type), ...marks].join(', ')} | ${cell(comment ?? '')} |`;
}

/** `CREATE UNIQUE INDEX name ON schema.table USING btree (…) WHERE …`, without what is said already. */
function indexLine(definition: string): string {
  const [, unique = '', name = '', rest = ''] =
    /^CREATE (UNIQUE )?INDEX (\S+) ON \S+ (?:USING btree )?(.*)$/s.exec(definition) ?? [];
  return `${unique ? 'unique index' : 'index'} \`${name}\` ${code(rest)}`;
}

const code = (text: string): string => `\`${cell(text)}\``;

/** A bar would end the cell, in code too. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');
