import { Database, type DatabaseOptions, type Sql } from '../libs/postgres/src/index.js';

/** Notes how long one statement takes in sessions, as whoever runs it waits for it: server, socket and parsing of the rows. */
export class TimedDatabase extends Database {
  private tookMs: number[] = [];

  constructor(
    options: DatabaseOptions,
    private readonly statementName: string,
  ) {
    super(options);
  }

  /** Milliseconds of each run of it since the last call. */
  take(): readonly number[] {
    const taken = this.tookMs;
    this.tookMs = [];
    return taken;
  }

  override session<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return super.session((sql) => work({ query: (...asked) => this.timed(sql, asked) }));
  }

  private async timed<Row>(sql: Sql, asked: Parameters<Sql['query']>) {
    const [statement] = asked;
    const startedAtMs = performance.now();
    const found = await sql.query<Row>(...asked);
    if (typeof statement !== 'string' && statement.name === this.statementName)
      this.tookMs.push(performance.now() - startedAtMs);
    return found;
  }
}
