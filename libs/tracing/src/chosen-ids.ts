import { randomBytes } from 'node:crypto';

export interface IdChoice {
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
}

/** Random ids as the SDK makes them, but for a span whose trace or span id is chosen beforehand. */
export class ChosenIds {
  private choice: IdChoice = {};

  /** For the one span that `start` starts, before it returns. */
  choose<T>(choice: IdChoice, start: () => T): T {
    this.choice = choice;
    try {
      return start();
    } finally {
      this.choice = {};
    }
  }

  generateTraceId = (): string => this.choice.traceId ?? randomBytes(16).toString('hex');

  generateSpanId = (): string => this.choice.spanId ?? randomBytes(8).toString('hex');
}
