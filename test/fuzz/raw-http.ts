/** HTTP/1.1 as it stands on the wire, one connection per request: what no client library would send is sent, too. */
import { connect } from 'node:net';

export interface RawAnswer {
  /** null: the connection was closed without an answer. */
  readonly status: number | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A stream that has begun is answered; its end is not waited for. */
const STREAM = 'text/event-stream';

/**
 * `isWhole`: nothing more belongs to it. Where that is not known the sending side is closed behind it, so that nobody waits for more;
 * Node then hangs up on a request that it is still working on.
 * @throws where there is neither an answer nor an end within the time
 */
export function sendRaw(
  address: URL,
  { bytes, isWhole }: { readonly bytes: Buffer; readonly isWhole: boolean },
  withinMs: number,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(address.port), address.hostname);
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer within ${withinMs} ms to ${bytes.toString('latin1', 0, 2_000)}`));
    }, withinMs);
    const settle = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answerIn(Buffer.concat(chunks)));
    };
    socket.on('connect', () => void (isWhole ? socket.write(bytes) : socket.end(bytes)));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      const { headers } = answerIn(Buffer.concat(chunks));
      if (headers['content-type']?.startsWith(STREAM)) settle();
    });
    socket.on('error', () => undefined); // 'close' follows: a server may hang up before it has read all
    socket.on('close', settle);
  });
}

/** The final answer: what is only informational (1xx) stands before it. */
function answerIn(bytes: Buffer): RawAnswer {
  const text = bytes.toString('utf8').replace(/^(HTTP\/1\.1 1\d\d [^]*?\r\n\r\n)+/, '');
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, Math.max(end, 0)).split('\r\n');
  const status = /^HTTP\/1\.1 (\d{3})/.exec(first)?.[1];
  if (status === undefined) return { status: null, headers: {}, body: '' };
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const rest = Buffer.from(text.slice(end + 4)); // what was cut in two may be answered twice
  const body = rest.subarray(0, Number(headers['content-length'] ?? rest.length)).toString('utf8');
  return { status: Number(status), headers, body };
}
