/**
 * What every store is written against: something that runs statements.
 *
 * `Sql` is a pool (each statement on a connection of its own), a session or a transaction; `Tx` is only the
 * last, so a function that takes `tx: Tx` says in its signature that it commits together with its caller.
 *
 * Values come back as pg gives them, with one exception, decided once for all of Holdfast: `bigint` (int8)
 * columns, `count(*)` included, are JavaScript `bigint` (see column-types.ts).
 */
import { StatementNameTakenError } from './postgres-errors.js';

export interface Rows<Row> {
  readonly rows: Row[];
  /** Rows read or written; 0 where the statement has no count. */
  readonly rowCount: number;
}

export interface Sql {
  query<Row = Record<string, unknown>>(
    statement: string | Statement,
    values?: readonly unknown[],
  ): Promise<Rows<Row>>;
}

export interface Tx extends Sql {
  readonly tx: true;
  /** For a statement whose answer nobody needs: it travels with the next one, or with COMMIT. If it fails, so does the transaction. */
  send(statement: string | Statement, values?: readonly unknown[]): void;
}

/** A statement that each connection prepares once, by name. Make it with `statement()` or `hotStatement()`. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  /** `once`: per connection, for all values. `each_time`: for the values at hand and what the tables hold by then. */
  readonly planned: 'once' | 'each_time';
}

/** Postgres cuts longer names short in silence, and two of them could then be one. */
const MAX_NAME_BYTES = 63;
const byName = new Map<string, Statement>();

/**
 * Names a statement for preparing. Call it at module level or in a constructor; the same name with the same
 * text is the same statement, with another text it throws at once (a statement that differs per schema
 * carries the schema in its name).
 * @throws StatementNameTakenError, RangeError for a name that is empty or over 63 bytes
 */
export function statement(name: string, text: string): Statement {
  return named({ name, text, planned: 'each_time' });
}

/**
 * The same for what every run takes: planning it anew would take longer than it does. It must find its rows by key even where it is
 * planned while its tables are empty and nothing is known of them: `plans.spec.ts` asks that of each.
 * @throws as `statement()`
 */
export function hotStatement(name: string, text: string): Statement {
  return named({ name, text, planned: 'once' });
}

/** Those that were named so far in this process. */
export function hotStatements(): readonly Statement[] {
  return [...byName.values()].filter(({ planned }) => planned === 'once');
}

function named(wanted: Statement): Statement {
  const { name, text, planned } = wanted;
  if (name === '' || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw new RangeError(`a statement's name has 1 to ${MAX_NAME_BYTES} bytes: "${name}"`);
  }
  const known = byName.get(name);
  if (known !== undefined && (known.text !== text || known.planned !== planned))
    throw new StatementNameTakenError(name);
  const statement = known ?? Object.freeze(wanted);
  byName.set(name, statement);
  return statement;
}
