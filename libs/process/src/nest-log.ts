import type { FieldLog } from './field-log.js';

/** Nest tells of every module and route at start; nobody needs that at `info`. */
const CHATTY_CONTEXTS = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
  'NestMicroservice',
]);

/** Takes what Nest itself has to say (its LoggerService) to our log. Nest says (message, …more, context). */
export class NestLog {
  constructor(private readonly to: FieldLog) {}

  log(message: unknown, ...more: readonly unknown[]): void {
    this.say(CHATTY_CONTEXTS.has(String(more.at(-1))) ? 'debug' : 'info', message, more);
  }

  debug(message: unknown, ...more: readonly unknown[]): void {
    this.say('debug', message, more);
  }

  verbose(message: unknown, ...more: readonly unknown[]): void {
    this.say('debug', message, more);
  }

  warn(message: unknown, ...more: readonly unknown[]): void {
    this.say('warn', message, more);
  }

  error(message: unknown, ...more: readonly unknown[]): void {
    this.say('error', message, more);
  }

  fatal(message: unknown, ...more: readonly unknown[]): void {
    this.say('error', message, more);
  }

  /** A stack that Nest hands over as a text repeats the message, which may hold anything: it is left out. */
  private say(level: keyof FieldLog, message: unknown, more: readonly unknown[]): void {
    const last = more.at(-1);
    const context = typeof last === 'string' ? last : null;
    if (typeof message === 'string') this.to[level]({ context }, message);
    else this.to[level]({ context, error: message }, 'Nest met an error');
  }
}
