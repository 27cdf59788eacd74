import type { FastifyRequest } from 'fastify';
import { checkFields, findUnholdable, type ProblemCode, type ProblemField } from '#libs/contracts';
import { ProblemError } from './problem-error.js';

/** The JSON body. Without one there is no content type to refuse, and multipart has a parser (for documents): both end here. */
export function jsonBodyOf(request: FastifyRequest, whatItIsFor: string): unknown {
  if (request.body !== undefined) return request.body;
  const mend = 'Send application/json, and say so in Content-Type.';
  throw new ProblemError('unsupported_media_type', whatItIsFor, {
    errors: [{ header: 'Content-Type', message: 'is missing or not application/json', mend }],
  });
}

/** A body by its contract class. @throws ProblemError that names each wrong field */
export function checkedBodyOf<T extends object>(type: new () => T, body: unknown, is: string): T {
  const checked = checkFields(type, body);
  if (checked.kind === 'valid') return checked.value;
  throw refusedBody('invalid_body', `The body does not describe ${is}`, checked.wrong);
}

/** What is wrong with a body, field by field. */
export function refusedBody(
  code: ProblemCode,
  what: string,
  errors: readonly ProblemField[],
): ProblemError {
  const places = errors.map(({ pointer, message }) => `${pointer || 'body'} ${message}`);
  return new ProblemError(code, `${what}: ${places.join('; ')}.`, { errors });
}

/** Reads a JSON body as strictly as it is stored: UTF-8 without repair, no value that RFC 8785 cannot write down. */
export function readJsonBody(bytes: Uint8Array): unknown {
  const value = parse(decode(bytes));
  checkHoldable(value);
  return value;
}

/** @throws ProblemError for what JSON's grammar lets through and no store can keep as it is */
export function checkHoldable(value: unknown): void {
  const unholdable = findUnholdable(value);
  if (!unholdable) return;
  throw new ProblemError('invalid_body', `The body cannot be held: ${unholdable.message}.`, {
    errors: [unholdable],
  });
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw malformed('The body is not valid UTF-8.', 'Send JSON in UTF-8.', cause);
  }
}

function parse(text: string): unknown {
  if (text.trim() === '') {
    throw malformed('The body is empty.', 'Send a JSON object.');
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed(`The body is not valid JSON${placeOf(cause)}.`, 'Send valid JSON.', cause);
  }
}

/** V8 tells the place, and repeats a piece of the body beside it; only the place is passed on. */
function placeOf(error: unknown): string {
  const [place] = /at position \d+( \(line \d+ column \d+\))?/.exec(String(error)) ?? [];
  return place ? ` ${place}` : '';
}

function malformed(detail: string, mend: string, cause?: unknown): ProblemError {
  const errors = [{ pointer: '', message: 'cannot be read as JSON', mend }];
  return new ProblemError('malformed_json', detail, { errors, cause });
}
