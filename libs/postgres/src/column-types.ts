/**
 * How columns become JavaScript values, decided once: int8 is `bigint`.
 *
 * pg's own choice is a string, which compares wrongly ('9' > '10') and adds by joining; a number loses digits
 * past 2^53. Epochs, fences, versions and sequence numbers are int8, so they are exact and comparable.
 * Mind: JSON.stringify refuses a bigint, so a view writes Number(…) or String(…) where it leaves the process.
 * All else is as pg has it: timestamptz is a Date, numeric a string, bytea a Buffer, jsonb parsed.
 */
import pg from 'pg';

const INT8 = 20;
const INT8_ARRAY = 1016;

export const columnTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (format !== 'binary') {
      if (oid === INT8) return BigInt;
      if (oid === INT8_ARRAY) return parseInt8Array;
    }
    return pg.types.getTypeParser(oid, format ?? 'text') as (text: string) => unknown;
  }) as pg.CustomTypesConfig['getTypeParser'],
};

/** `{1,NULL,3}`: one-dimensional, which is all that Holdfast has. */
function parseInt8Array(text: string): (bigint | null)[] {
  const inner = text.slice(1, -1);
  if (inner === '') return [];
  return inner.split(',').map((element) => (element === 'NULL' ? null : BigInt(element)));
}
