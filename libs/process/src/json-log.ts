import { logLevels, type LogLevel } from './settings.js';

/** What the libs write to. */
export interface FieldLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Nest tells of every module and route at start; nobody needs that at `info`. */
const CHATTY_CONTEXTS = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
  'NestMicroservice',
]);

/** One JSON line per entry, on stderr: stdout holds only the line that says "ready". */
export class JsonLog implements FieldLog {
  private readonly floor: number;

  constructor(
    level: LogLevel,
    private readonly write: (line: string) => void = (line) => process.stderr.write(line),
  ) {
    this.floor = logLevels.indexOf(level);
  }

  debug(...args: unknown[]): void {
    this.entry('debug', args);
  }

  verbose(...args: unknown[]): void {
    this.entry('debug', args);
  }

  log(...args: unknown[]): void {
    const chatty = CHATTY_CONTEXTS.has(String(args.at(-1)));
    this.entry(chatty ? 'debug' : 'info', args);
  }

  info(...args: unknown[]): void {
    this.entry('info', args);
  }

  warn(...args: unknown[]): void {
    this.entry('warn', args);
  }

  error(...args: unknown[]): void {
    this.entry('error', args);
  }

  fatal(...args: unknown[]): void {
    this.entry('error', args);
  }

  /** The libs say (fields, message), Nest says (message, …more, context). */
  private entry(level: LogLevel, [first, ...rest]: unknown[]): void {
    if (logLevels.indexOf(level) < this.floor) return;
    const head = { time: new Date().toISOString(), level };
    const said = isFields(first)
      ? { message: textOf(rest[0]), ...first }
      : {
          message: textOf(first),
          context: textOf(rest.at(-1)),
          ...(rest.length > 1 && { detail: textOf(rest[0]) }),
        };
    this.write(`${JSON.stringify({ ...head, ...said }, writable)}\n`);
  }
}

function isFields(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Error);
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  return value instanceof Error ? (value.stack ?? value.message) : JSON.stringify(value, writable);
}

function writable(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}
