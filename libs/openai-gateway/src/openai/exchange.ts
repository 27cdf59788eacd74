import type { Response } from 'openai/resources/responses/responses';
import type { NoAnswer, RefusedRequest } from '../classify/call-fact.js';

/** What came of one request to OpenAI. */
export type Exchange = AnsweredExchange | RefusedRequest | NoAnswer;

/** A response object of OpenAI's own, whatever its status. */
export interface AnsweredExchange {
  readonly kind: 'answered';
  readonly response: Response;
  readonly requestId: string | null;
  readonly headers: Headers;
}

/** An answer of OpenAI's own about anything else. */
export interface Answered<T> extends Omit<AnsweredExchange, 'response'> {
  readonly value: T;
}

/** Null: no answer came. */
export function httpStatusOf(exchange: Exchange | Answered<unknown>): number | null {
  switch (exchange.kind) {
    case 'answered':
      return 200;
    case 'refused':
      return exchange.status;
    case 'no_answer':
      return exchange.httpStatus;
  }
}
