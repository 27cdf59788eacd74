/**
 * What a failure of Postgres means for the one who called: try the same again (transient), blame one row
 * (row rejection), or neither (a bug: let it rise). And, for the pool: whether the connection can still be used.
 *
 * SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 *
 * `isNativeError`, not `instanceof`: a socket's error may come from another realm (Jest gives each spec file one).
 */
import { isNativeError } from 'node:util/types';

/** Two statements of one name: each connection would run whichever it prepared first. */
export class StatementNameTakenError extends Error {
  override readonly name = 'StatementNameTakenError';
  readonly code = 'statement_name_taken';
  constructor(readonly statementName: string) {
    super(`a statement named "${statementName}" exists already, with another text`);
  }
}

/**
 * The answer to COMMIT was lost: the transaction may or may not have happened. Transient: whoever writes
 * idempotently (all of Holdfast's batched writes) does the whole transaction again.
 */
export class CommitOutcomeUnknownError extends Error {
  override readonly name = 'CommitOutcomeUnknownError';
  readonly code = 'commit_outcome_unknown';
  constructor(cause: unknown) {
    super('the connection failed during COMMIT: the transaction may or may not have happened', {
      cause,
    });
  }
}

/**
 * COMMIT answered ROLLBACK: a statement failed before, and the work went on as if it had not. Postgres does
 * not report this as an error; taking it for success would lose the write in silence.
 */
export class TransactionRolledBackError extends Error {
  override readonly name = 'TransactionRolledBackError';
  readonly code = 'transaction_rolled_back';
  constructor() {
    super('COMMIT was answered by ROLLBACK: a failed statement in the transaction was swallowed');
  }
}

/** A statement on a transaction or session that has ended: a promise somebody forgot to await. */
export class TransactionEndedError extends Error {
  override readonly name = 'TransactionEndedError';
  readonly code = 'transaction_ended';
  constructor() {
    super('a statement was run on a transaction or session that has already ended');
  }
}

/** The same work, done again a little later, can succeed. Nothing is said about whether it happened already. */
export function isTransientError(error: unknown): boolean {
  if (error instanceof CommitOutcomeUnknownError) return true;
  const sqlState = sqlStateOf(error);
  if (sqlState === null) return isLostConnection(error);
  return (
    sqlState === '40001' || // serialization_failure
    sqlState === '40P01' || // deadlock_detected
    sqlState === '25P03' || // idle_in_transaction_session_timeout: we were paused, and Postgres hung up
    isStalePlan(error, sqlState) ||
    (['08', '53', '57'].includes(sqlState.slice(0, 2)) && sqlState !== '08P01')
    // 08P01 (protocol_violation) is what a wrong number of parameters gets: a bug, the same every time.
  );
}

/**
 * Our own code finds, before Postgres is asked, that one row cannot be written as it is: what it would have to tell is too large,
 * or missing. Subclasses say what. Terminal for the row; others of its batch are not at fault.
 */
export abstract class RowRefusedError extends Error {}

/** The data of one row is at fault (bad value, constraint, limit): others in the same statement are not. */
export function isRowRejection(error: unknown): boolean {
  if (error instanceof RowRefusedError) return true;
  const sqlState = sqlStateOf(error);
  return sqlState !== null && ['22', '23', '54'].includes(sqlState.slice(0, 2));
}

/** The connection is dead or in doubt: it must be destroyed, not handed to the next in the pool. */
export function isConnectionSpoiled(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState === null) return isLostConnection(error);
  return (
    sqlState.startsWith('08') ||
    sqlState.startsWith('57P') ||
    sqlState === '25P03' ||
    isStalePlan(error, sqlState)
  );
}

/** What a connection, or the server behind it, says when it is gone, by pg, pg-pool and Node's sockets. */
function isLostConnection(error: unknown): boolean {
  if (!isNativeError(error)) return false;
  return (
    LOST_CODES.has(codeOf(error) ?? '') ||
    LOST_MESSAGES.some((lost) => error.message.startsWith(lost))
  );
}

const LOST_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
]);
const LOST_MESSAGES = [
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'Client has encountered a connection error',
  'Client was closed and is not queryable',
  'Query read timeout',
];

/** A prepared plan that a migration has made stale, or that the server no longer has: a new connection helps. */
function isStalePlan(error: unknown, sqlState: string): boolean {
  return (
    sqlState === '26000' || // invalid_sql_statement_name
    (sqlState === '0A000' &&
      isNativeError(error) &&
      error.message === 'cached plan must not change result type')
  );
}

function sqlStateOf(error: unknown): string | null {
  const code = codeOf(error);
  return code !== null && /^[0-9A-Z]{5}$/.test(code) && !LOST_CODES.has(code) ? code : null;
}

function codeOf(error: unknown): string | null {
  if (!isNativeError(error) || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
