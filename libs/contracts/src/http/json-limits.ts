import { pointerTo, type WrongField } from './check-fields.js';

/** Deeper JSON than any sane contract needs; bounds recursion in everything that walks a body. */
export const MAX_JSON_DEPTH = 64;

/**
 * What JSON's grammar lets through and RFC 8785 or a store cannot hold: numbers beyond a double, half a surrogate pair,
 * endless nesting, `__proto__`. Walks without recursion; undefined where all is well.
 */
export function findUnholdable(value: unknown): WrongField | undefined {
  const open: { value: unknown; path: readonly (string | number)[] }[] = [{ value, path: [] }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value: current, path } = next;
    if (typeof current === 'number' && !Number.isFinite(current)) {
      return wrong(path, 'is a number too large to hold', 'Send it as a string.');
    }
    if (typeof current === 'string' && !current.isWellFormed()) {
      return wrong(path, 'holds half of a surrogate pair', 'Send well-formed Unicode text.');
    }
    if (typeof current !== 'object' || current === null) continue;
    if (path.length >= MAX_JSON_DEPTH) {
      return wrong(path, `is nested deeper than ${MAX_JSON_DEPTH} levels`, 'Flatten the body.');
    }
    for (const [key, child] of Object.entries(current)) {
      if (!key.isWellFormed() || key === '__proto__') {
        return wrong(path, 'has a field name that cannot be held', 'Rename that field.');
      }
      open.push({ value: child, path: [...path, key] });
    }
  }
  return undefined;
}

function wrong(path: readonly (string | number)[], message: string, mend: string): WrongField {
  return { pointer: pointerTo(...path), message, mend };
}
