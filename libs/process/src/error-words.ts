/**
 * What may be repeated of an error. Many errors quote what they stumbled over: JSON.parse a piece of the text, Postgres the
 * value that it refuses, OpenAI the key or the prompt, Node the argument. So the words of an error are repeated only where we
 * know who wrote them; of all others the name, the code and the place in our code are enough to find the fault.
 *
 * `isNativeError`, not `instanceof`: an error may come from another realm (Jest gives each spec file one).
 */
import { isNativeError } from 'node:util/types';

export interface ErrorFields {
  /** `Name: words`, or the name alone. */
  readonly error: string;
  readonly errorCode?: string;
  readonly causes?: readonly string[];
  /** Places in code, without the words. */
  readonly stack?: readonly string[];
}

const MAX_CAUSES = 5;
const MAX_FRAMES = 12;
const MAX_WORDS = 500;

/** Classes of SQLSTATE whose messages name servers, tables and settings, and no values. */
const WORDS_OF_POSTGRES = new Set('08 25 26 28 3D 3F 40 42 53 54 55 57 58 XX'.split(' '));

/** An error as log fields: name, code and words where they are harmless, of its causes too. */
export function errorFields(error: unknown, { stack = false } = {}): ErrorFields {
  if (!isNativeError(error)) return { error: `a thrown ${error === null ? 'null' : typeof error}` };
  const code = codeOf(error);
  const causes = causesOf(error);
  return {
    error: wordsOf(error),
    ...(code !== undefined && { errorCode: code }),
    ...(causes.length > 0 && { causes }),
    ...(stack && { stack: framesOf(error) }),
  };
}

/** In one line: `Name: words`, or the name alone. */
export function wordsOf(error: unknown): string {
  if (!isNativeError(error)) return `a thrown ${error === null ? 'null' : typeof error}`;
  return mayBeRepeated(error) && error.message !== ''
    ? `${error.name}: ${error.message.slice(0, MAX_WORDS)}`
    : error.name;
}

function mayBeRepeated(error: Error): boolean {
  const code = codeOf(error);
  if ('severity' in error && code !== undefined) return WORDS_OF_POSTGRES.has(code.slice(0, 2));
  if ('requestID' in error) return false; // the OpenAI SDK's
  if (error.name.startsWith('KafkaJS')) return true; // brokers, topics, groups
  if ('syscall' in error) return true; // addresses and paths
  if (code === undefined) return error.name === 'Error'; // written for people, in constant words
  return /^[a-z][a-z0-9_]*$/.test(code) && error.name.endsWith('Error'); // ours
}

function causesOf(error: Error): string[] {
  const causes: string[] = [];
  let { cause } = error;
  for (; isNativeError(cause) && causes.length < MAX_CAUSES; { cause } = cause) {
    const code = codeOf(cause);
    causes.push(code === undefined ? wordsOf(cause) : `${wordsOf(cause)} [${code}]`);
  }
  return causes;
}

/** Codes are identifiers; anything else is not repeated. */
function codeOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^[\w.-]{1,60}$/.test(code) ? code : undefined;
}

/** A message may hold line breaks of its own: only lines that look like frames are taken. */
function framesOf({ stack, message }: Error): string[] {
  const below = stack?.includes(message)
    ? stack.slice(stack.indexOf(message) + message.length)
    : stack;
  return (below ?? '')
    .split('\n')
    .filter((line) => /^\s+at .+:\d+:\d+\)?$/.test(line))
    .slice(0, MAX_FRAMES)
    .map((line) => line.trim());
}
