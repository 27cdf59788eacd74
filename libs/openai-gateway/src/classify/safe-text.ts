/**
 * What OpenAI says about a request may quote it. Failures, logs and dead letters hold no prompt text: whatever shares more
 * than a few words with what was sent is cut out. Control characters go too (Postgres refuses U+0000 in text and jsonb).
 */
const maxLength = 800;
/** Shorter runs than this are the API's own words and parameter names. */
const echoLength = 16;

export function redactEchoes(message: string, sentTexts: readonly string[]): string {
  const text = clean(message).slice(0, maxLength);
  const sent = sentTexts.map(clean).filter((one) => one !== '');
  const short = sent.find((one) => one.length < echoLength && text.includes(one));
  if (short !== undefined) return redactEchoes(text.replaceAll(short, '[…]'), without(sent, short));
  let safe = '';
  for (let at = 0; at < text.length;) {
    const window = text.slice(at, at + echoLength);
    const isEcho = window.length === echoLength && sent.some((one) => one.includes(window));
    if (!isEcho) {
      safe += text[at] ?? '';
      at += 1;
      continue;
    }
    let end = at + echoLength;
    while (end < text.length && sent.some((one) => one.includes(text.slice(at, end + 1)))) end += 1;
    safe += '[…]';
    at = end;
  }
  return safe;
}

const without = (texts: readonly string[], one: string): string[] =>
  texts.filter((text) => text !== one);

/** OpenAI's codes and parameter names are identifiers; anything else is not repeated. */
export function readCode(value: unknown): string | null {
  return typeof value === 'string' && /^[\w.[\]-]{1,100}$/.test(value) ? value : null;
}

const clean = (text: string): string =>
  text
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u001f\u007f\s]+/g, ' ')
    .trim();
