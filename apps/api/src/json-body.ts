import { findUnholdable } from '#libs/contracts';
import { ProblemError } from './problem-error.js';

/** Reads a JSON body as strictly as it is stored: UTF-8 without repair, no value that RFC 8785 cannot write down. */
export function readJsonBody(bytes: Uint8Array): unknown {
  const value = parse(decode(bytes));
  const unholdable = findUnholdable(value);
  if (unholdable) {
    throw new ProblemError('invalid_body', `The body cannot be held: ${unholdable.message}.`, {
      errors: [unholdable],
    });
  }
  return value;
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
