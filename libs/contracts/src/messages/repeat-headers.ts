/** How the api asks again about what has gone silent, and how the processor answers. */
export const repeatHeaders = {
  /** On a request or a decision that the api sends again: the version of the run that it has seen last, 0 for none. */
  reemission: 'x-holdfast-reemission',
  /** On an event that is sent again for that: all that the run told before it is not on its way any more. */
  repeated: 'x-holdfast-repeated',
} as const;

/** The version that the api has seen last, of a message that it sends again; null: it is none, or says so in no way known. */
export function reemissionOf(headers: Readonly<Record<string, string>>): number | null {
  const version = headers[repeatHeaders.reemission];
  return version !== undefined && /^\d{1,9}$/.test(version) ? Number(version) : null;
}

export function isRepeated(headers: Readonly<Record<string, string>>): boolean {
  return headers[repeatHeaders.repeated] !== undefined;
}
