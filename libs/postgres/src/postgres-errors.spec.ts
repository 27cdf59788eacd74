import {
  CommitOutcomeUnknownError,
  isConnectionSpoiled,
  isRowRejection,
  isTransientError,
} from './postgres-errors.js';

const failure = (code: string | undefined, message = 'failed') =>
  Object.assign(new Error(message), code === undefined ? {} : { code });

/** [what Postgres or the socket says, transient, row rejection, connection spoiled] */
const table: [string | undefined, string, boolean, boolean, boolean][] = [
  ['40001', 'could not serialize access', true, false, false],
  ['40P01', 'deadlock detected', true, false, false],
  ['08006', 'connection failure', true, false, true],
  ['08P01', 'bind message supplies 2 parameters, but … requires 3', false, false, true],
  ['53300', 'too many connections', true, false, false],
  ['57014', 'canceling statement due to statement timeout', true, false, false],
  ['57P01', 'terminating connection due to administrator command', true, false, true],
  ['57P03', 'the database system is starting up', true, false, true],
  ['25P03', 'terminating connection due to idle-in-transaction timeout', true, false, true],
  ['26000', 'prepared statement "x" does not exist', true, false, true],
  ['0A000', 'cached plan must not change result type', true, false, true],
  ['0A000', 'cross-database references are not implemented', false, false, false],
  ['22021', 'invalid byte sequence for encoding "UTF8": 0x00', false, true, false],
  ['22P05', 'unsupported Unicode escape sequence', false, true, false],
  ['23505', 'duplicate key value', false, true, false],
  ['54000', 'index row size exceeds maximum', false, true, false],
  ['21000', 'ON CONFLICT DO UPDATE command cannot affect row a second time', false, false, false],
  ['42P01', 'relation does not exist', false, false, false],
  ['25P02', 'current transaction is aborted', false, false, false],
  ['ECONNREFUSED', 'connect ECONNREFUSED', true, false, true],
  ['ECONNRESET', 'read ECONNRESET', true, false, true],
  ['EPIPE', 'write EPIPE', true, false, true],
  [undefined, 'Connection terminated unexpectedly', true, false, true],
  [undefined, 'timeout exceeded when trying to connect', true, false, true],
  [undefined, 'Query read timeout', true, false, true],
  [undefined, 'Cannot use a pool after calling end on the pool', false, false, false],
  [undefined, 'whatever', false, false, false],
];

describe('what a failure of Postgres means', () => {
  it.each(table)('%s %s', (code, message, transient, rejection, spoiled) => {
    const error = failure(code, message);
    expect(isTransientError(error)).toBe(transient);
    expect(isRowRejection(error)).toBe(rejection);
    expect(isConnectionSpoiled(error)).toBe(spoiled);
  });

  it('a lost answer to COMMIT is worth doing again, by whoever writes idempotently', () => {
    expect(isTransientError(new CommitOutcomeUnknownError(failure('ECONNRESET')))).toBe(true);
  });

  it.each([undefined, null, 'ECONNRESET', { code: '40001' }])(
    '%p is no failure of Postgres',
    (thrown) => {
      expect(
        isTransientError(thrown) || isRowRejection(thrown) || isConnectionSpoiled(thrown),
      ).toBe(false);
    },
  );
});
