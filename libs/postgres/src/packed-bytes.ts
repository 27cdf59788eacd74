/**
 * Many byte strings as one parameter. A `bytea[]` travels as text, each byte as two digits, and is read through twice: for
 * bodies of a kilobyte that was the dearest part of a batched statement. One Buffer travels as it is; SQL cuts it again:
 *
 *     SELECT substr($1::bytea, start, size) FROM unnest($2::int[], $3::int[]) AS m (start, size)
 */
export interface PackedBytes {
  readonly bytes: Buffer;
  /** From 1, as `substr` counts. */
  readonly starts: readonly number[];
  /** null for a value that is null. */
  readonly sizes: readonly (number | null)[];
}

export function packBytes(values: readonly (Uint8Array | null)[]): PackedBytes {
  let end = 1;
  const starts = values.map((value) => {
    const start = end;
    end += value?.length ?? 0;
    return start;
  });
  const bytes = Buffer.concat(values.filter((value) => value !== null));
  return { bytes, starts, sizes: values.map((value) => value?.length ?? null) };
}
