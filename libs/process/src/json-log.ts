import { pino, type DestinationStream, type Logger } from 'pino';
import { errorFields } from './error-words.js';
import { writtenField, type FieldLog, type LogFields } from './field-log.js';
import type { LogLevel } from './settings.js';

type Written = Record<string, unknown>;

/**
 * One JSON line per entry, by pino, on stderr: stdout holds only the line that says "ready". A line is written before the call
 * returns, so that the last ones of a process that dies are there.
 */
export class JsonLog implements FieldLog {
  private readonly pino: Logger;

  /** @param app put into every line, with the process id */
  constructor(level: LogLevel, write?: (line: string) => void, app?: string) {
    const destination: DestinationStream = write
      ? { write }
      : pino.destination({ fd: 2, sync: true });
    this.pino = pino(
      {
        level,
        base: app === undefined ? {} : { app, pid: process.pid },
        messageKey: 'message',
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      destination,
    );
  }

  debug(fields: LogFields, message: string): void {
    if (this.pino.isLevelEnabled('debug')) this.pino.debug(written(fields), message);
  }

  info(fields: LogFields, message: string): void {
    if (this.pino.isLevelEnabled('info')) this.pino.info(written(fields), message);
  }

  warn(fields: LogFields, message: string): void {
    this.pino.warn(written(fields), message);
  }

  /** With the place in our code. */
  error(fields: LogFields, message: string): void {
    this.pino.error(written(fields, { stack: true }), message);
  }
}

/** What is not in the list of fields is left out. */
function written(fields: LogFields, options: { stack?: boolean } = {}): Written {
  const line: Written = {};
  for (const [name, value] of Object.entries(fields)) {
    const text = writtenField(name, value);
    if (text !== undefined) line[name] = text;
  }
  return 'error' in fields && fields.error !== undefined
    ? Object.assign(line, errorFields(fields.error, options))
    : line;
}
