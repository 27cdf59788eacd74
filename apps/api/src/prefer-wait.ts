/** A wait may be asked for; none is longer than this, whatever is asked. */
export const MAX_WAIT_SECONDS = 60;

/**
 * Seconds of `wait` in a `Prefer` header (RFC 7240, 4.3), cut to `MAX_WAIT_SECONDS`; undefined where none is asked for.
 * As the RFC wants it, a preference that cannot be read is passed over, and of several `wait`s the first counts.
 */
export function preferredWaitSeconds(prefer: string | string[] | undefined): number | undefined {
  const preferences = [prefer ?? []].flat().flatMap(splitOutsideQuotes(','));
  for (const preference of preferences) {
    const [pair = ''] = splitOutsideQuotes(';')(preference);
    const [name = '', value = ''] = pair.split('=').map((part) => part.trim());
    if (name.toLowerCase() !== 'wait') continue;
    const seconds = /^"?(\d+)"?$/.exec(value)?.[1];
    return seconds === undefined ? undefined : Math.min(Number(seconds), MAX_WAIT_SECONDS);
  }
  return undefined;
}

/** A separator inside a quoted string separates nothing. One pass: a header of nothing but quotes costs no more than another. */
function splitOutsideQuotes(separator: ',' | ';') {
  return (text: string): string[] => {
    const parts = [''];
    let quoted = false;
    let escaped = false;
    for (const character of text) {
      if (character === separator && !quoted) {
        parts.push('');
        continue;
      }
      parts.push((parts.pop() ?? '') + character);
      if (character === '"' && !escaped) quoted = !quoted;
      escaped = quoted && character === '\\' && !escaped;
    }
    return parts;
  };
}
