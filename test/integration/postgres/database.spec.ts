/**
 * Real: Postgres, and TCP through a proxy that loses what it is told to. Stands in: in one spec a server that says in one packet
 * what Postgres says in two.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import {
  CommitOutcomeUnknownError,
  Database,
  hotStatement,
  isRowRejection,
  isTransientError,
  type Sql,
  statement,
  TransactionEndedError,
  TransactionRolledBackError,
} from '#libs/postgres';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';
import { FaultyNetwork } from './faulty-network.js';
import { until } from './until.js';

let fresh: FreshDatabase;
let admin: Database;

beforeAll(async () => {
  fresh = await freshDatabase();
  admin = new Database({ url: fresh.url, applicationName: 'admin' });
  await admin.query('CREATE TABLE notes (id int PRIMARY KEY, text text)');
});
afterAll(async () => {
  await admin.close();
  await fresh.drop();
});
beforeEach(() => admin.query('TRUNCATE notes'));

const using = async (
  options: Partial<ConstructorParameters<typeof Database>[0]>,
  work: (database: Database) => Promise<void>,
) => {
  const database = new Database({ url: fresh.url, applicationName: 'spec', ...options });
  try {
    await work(database);
  } finally {
    await database.close();
  }
};
const backend = async (sql: Sql) => {
  const { rows } = await sql.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid;
};
const notes = async () => {
  const { rows } = await admin.query<{ id: number }>('SELECT id FROM notes ORDER BY id');
  return rows.map(({ id }) => id);
};
const terminateAll = () =>
  admin.query(
    `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'spec'`,
  );
const caught = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Authentication ok, ready for query, and FATAL 57P01 (https://www.postgresql.org/docs/current/protocol-message-formats.html). */
const HELLO_AND_GOODBYE = Buffer.concat(
  [
    ['R', '\0\0\0\0'],
    ['Z', 'I'],
    ['E', 'SFATAL\0C57P01\0Mterminating connection\0\0'],
  ].map(([kind, body = '']) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(4 + body.length);
    return Buffer.concat([Buffer.from(kind ?? ''), length, Buffer.from(body)]);
  }),
);

describe('values', () => {
  it('int8 is bigint: columns, counts, arrays, and as a parameter', async () => {
    const { rows } = await admin.query(
      `SELECT $1::bigint AS big, count(*) AS count, array[1, NULL, 9007199254740993]::bigint[] AS bigs,
              array[]::bigint[] AS none, $2::bigint[] AS given, null::bigint AS missing, 7::int AS small`,
      [9007199254740993n, [1n, 9007199254740993n]],
    );
    expect(rows[0]).toEqual({
      big: 9007199254740993n,
      count: 1n,
      bigs: [1n, null, 9007199254740993n],
      none: [],
      given: [1n, 9007199254740993n],
      missing: null,
      small: 7,
    });
  });

  it('counts the rows read and written', async () => {
    expect(await admin.query('INSERT INTO notes VALUES (1), (2)')).toEqual({
      rows: [],
      rowCount: 2,
    });
    expect((await admin.query('SELECT FROM notes')).rowCount).toBe(2);
    expect((await admin.query('SET synchronous_commit = on')).rowCount).toBe(0);
  });
});

describe('when connections are lost', () => {
  it('idle ones, as in a restart of Postgres: they are reported, and the next statement works', async () => {
    const lost: Error[] = [];
    await using({ onError: (error) => lost.push(error) }, async (database) => {
      await Promise.all([backend(database), backend(database), backend(database)]);
      await terminateAll();
      expect(await backend(database)).toBeDefined();
      expect(lost.length).toBeGreaterThan(0);
    });
  });

  it('a busy one: its statement fails as transient, and the next statement works', async () => {
    await using({ maxConnections: 1 }, async (database) => {
      const failed = caught(database.query('SELECT pg_sleep(60)'));
      await until(async () => (await running('SELECT pg_sleep(60)')) === 1);
      await terminateAll();
      expect(isTransientError(await failed)).toBe(true);
      expect(await backend(database)).toBeDefined();
    });
  });

  it('in a transaction: nothing of it is kept, and the next one works', async () => {
    await using({ maxConnections: 1 }, async (database) => {
      const error = await caught(
        database.transaction(async (tx) => {
          await tx.query('INSERT INTO notes VALUES (1)');
          await terminateAll();
          await tx.query('INSERT INTO notes VALUES (2)');
        }),
      );
      expect(isTransientError(error)).toBe(true);
      await database.transaction((tx) => tx.query('INSERT INTO notes VALUES (3)'));
      expect(await notes()).toEqual([3]);
    });
  });

  it('while the answer to COMMIT travels: the outcome is unknown, and said to be', async () => {
    const network = await FaultyNetwork.before(fresh.url);
    await using({ url: network.url }, async (database) => {
      const error = await caught(
        database.transaction(async (tx) => {
          await tx.query('INSERT INTO notes VALUES (1)');
          network.loseNextAnswerTo('COMMIT');
        }),
      );
      expect(error).toBeInstanceOf(CommitOutcomeUnknownError);
      expect(isTransientError(error)).toBe(true);
      expect(await notes()).toEqual([1]); // here it did happen; whoever writes again must not mind
      await database.transaction((tx) => tx.query('INSERT INTO notes VALUES (2)'));
    });
    await network.close();
    expect(await notes()).toEqual([1, 2]);
  });

  it('a server that goes silent does not hold a statement for ever', async () => {
    const network = await FaultyNetwork.before(fresh.url);
    const limits = { statementTimeoutMs: 1_000, silenceMs: 500 }; // one that answers has to keep them, too
    await using({ url: network.url, ...limits }, async (database) => {
      await database.query('SELECT 1');
      network.goSilent();
      expect(isTransientError(await caught(database.query('SELECT 1')))).toBe(true);
      network.cut();
    });
    await network.close();
  });
});

it('a server that takes a connection and ends it in one breath brings nobody down', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.end(HELLO_AND_GOODBYE)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `postgres://anybody:secret@127.0.0.1:${port}/any`;
  await using({ url, connectTimeoutMs: 2_000 }, async (database) => {
    expect(isTransientError(await caught(database.query('SELECT 1')))).toBe(true);
  });
  server.close();
});

describe('a connection', () => {
  it('is kept after a refused row, and not after a lost plan', async () => {
    await using({ maxConnections: 1 }, async (database) => {
      await database.query('INSERT INTO notes VALUES (1)');
      const before = await backend(database);
      expect(isRowRejection(await caught(database.query('INSERT INTO notes VALUES (1)')))).toBe(
        true,
      );
      expect(await backend(database)).toBe(before);

      const read = statement('spec.read_all', 'SELECT * FROM notes');
      await database.query(read);
      await admin.query('ALTER TABLE notes ADD COLUMN late int');
      expect(isTransientError(await caught(database.query(read)))).toBe(true);
      expect((await database.query(read)).rows).toEqual([{ id: 1, text: null, late: null }]);
      await admin.query('ALTER TABLE notes DROP COLUMN late');
    });
  });

  it('plans hot statements once, others each time, also after a transaction that was rolled back', async () => {
    const hot = hotStatement('spec.hot', 'SELECT id FROM notes WHERE id = $1');
    const cold = statement('spec.cold', 'SELECT text FROM notes WHERE id = $1');
    await using({ maxConnections: 1 }, async (database) => {
      const useBoth = async (sql: Sql) => {
        for (const each of [cold, hot, hot, cold]) await sql.query(each, [1]);
      };
      await useBoth(database);
      await database.transaction(useBoth);
      await database.query(hot, [1]);
      await caught(
        database.transaction(async (tx) => {
          await tx.query(cold, [1]);
          throw new Error('the work fails'); // and how it plans is undone
        }),
      );
      await database.query(cold, [1]);
      await caught(
        database.transaction(async (tx) => {
          await tx.query(hot, [1]);
          await caught(tx.query('SELECT 1 / 0')); // so that COMMIT rolls back
        }),
      );
      await database.query(hot, [1]);
      const { rows } = await database.query(`
        SELECT name, generic_plans AS once, custom_plans AS "eachTime" FROM pg_prepared_statements
        WHERE name LIKE 'spec.%' ORDER BY name`);
      expect(rows).toEqual([
        { name: 'spec.cold', once: 0n, eachTime: 6n },
        { name: 'spec.hot', once: 7n, eachTime: 0n },
      ]);
    });
  });

  it('of a session ends with it, and its settings too', async () => {
    await using({ maxConnections: 1 }, async (database) => {
      const inSession = await database.session(async (sql) => {
        await sql.query('SET synchronous_commit = off');
        return backend(sql);
      });
      expect(await backend(database)).not.toBe(inSession);
      const { rows } = await database.query('SHOW synchronous_commit');
      expect(rows).toEqual([{ synchronous_commit: 'on' }]);
    });
  });

  it('is not given on with a transaction somebody left open in it', async () => {
    await using({ maxConnections: 1 }, async (database) => {
      await database.query('BEGIN');
      await database.query('INSERT INTO notes VALUES (1)');
      expect(await notes()).toEqual([1]);
    });
  });

  it('runs no statement past its limit', async () => {
    await using({ statementTimeoutMs: 50 }, async (database) => {
      expect(await caught(database.query('SELECT pg_sleep(60)'))).toMatchObject({ code: '57014' });
    });
  });
});

describe('a transaction', () => {
  it('commits what its work did, and gives back its answer', async () => {
    const answer = await admin.transaction(async (tx) => {
      await tx.query('INSERT INTO notes VALUES (1)');
      expect(await notes()).toEqual([]);
      return 'done';
    });
    expect(answer).toBe('done');
    expect(await notes()).toEqual([1]);
  });

  it('keeps nothing when its work throws, and lets that error rise', async () => {
    const failure = new Error('changed our mind');
    const work = admin.transaction(async (tx) => {
      await tx.query('INSERT INTO notes VALUES (1)');
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await notes()).toEqual([]);
  });

  it('whose work swallowed a failed statement is not taken for committed', async () => {
    const work = admin.transaction(async (tx) => {
      await tx.query('INSERT INTO notes VALUES (1)');
      await tx.query('INSERT INTO notes VALUES (1)').catch(() => undefined);
    });
    await expect(work).rejects.toThrow(TransactionRolledBackError);
    expect(await notes()).toEqual([]);
  });

  it('refused by a deferred constraint at COMMIT has not happened, and says why', async () => {
    await admin.query(
      'CREATE TABLE IF NOT EXISTS deferred (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)',
    );
    const work = admin.transaction((tx) => tx.query('INSERT INTO deferred VALUES (1), (1)'));
    await expect(work).rejects.toMatchObject({ code: '23505' });
    expect((await admin.query('SELECT FROM deferred')).rowCount).toBe(0);
  });

  it('keeps nothing where a statement failed that was only sent, and says what failed', () =>
    using({}, async (database) => {
      const doubled = database.transaction(async (tx) => {
        await tx.query(`INSERT INTO notes VALUES (1, 'kept?')`);
        tx.send(`INSERT INTO notes VALUES (1, 'twice')`);
        tx.send(`INSERT INTO notes VALUES (2, 'behind it')`);
      });
      expect(await caught(doubled)).toMatchObject({ code: '23505' });
      const goingOn = database.transaction(async (tx) => {
        tx.send(`INSERT INTO notes VALUES (3, NULL), (3, NULL)`);
        await tx.query('SELECT 1');
      });
      expect(await caught(goingOn)).toMatchObject({ code: '23505' });
      expect(await notes()).toEqual([]);
    }));

  it('commits what was only sent, in its order', () =>
    using({ maxConnections: 1 }, async (database) => {
      await database.transaction((tx) => {
        tx.send(`INSERT INTO notes VALUES (1, 'first')`);
        tx.send(`UPDATE notes SET text = 'then' WHERE id = 1 AND text = 'first'`);
      });
      const { rows } = await admin.query('SELECT text FROM notes');
      expect(rows).toEqual([{ text: 'then' }]);
    }));

  it('runs nothing after its end', async () => {
    const kept = await admin.transaction(async (tx) => tx);
    await expect(kept.query('INSERT INTO notes VALUES (1)')).rejects.toThrow(TransactionEndedError);
    expect(await notes()).toEqual([]);
  });
});

it('close() waits for what runs, and refuses what comes after', async () => {
  const database = new Database({ url: fresh.url, applicationName: 'spec' });
  const [locked, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = admin.transaction(async (tx) => {
    await tx.query('LOCK TABLE notes IN EXCLUSIVE MODE');
    locked.resolve();
    await gate.promise;
  });
  await locked.promise;
  const slow = database.query('INSERT INTO notes VALUES (1)');
  await until(async () => (await running('INSERT INTO notes VALUES (1)')) === 1);
  const closing = Promise.all([database.close(), database.close()]);
  gate.resolve();
  await Promise.all([holding, closing, slow]);
  expect(await notes()).toEqual([1]);
  expect(isTransientError(await caught(database.query('SELECT 1')))).toBe(false);
});

async function running(text: string): Promise<number> {
  const { rowCount } = await admin.query(
    `SELECT FROM pg_stat_activity
     WHERE application_name = 'spec' AND state = 'active' AND starts_with(query, $1)`,
    [text],
  );
  return rowCount;
}
