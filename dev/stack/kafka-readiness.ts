/**
 * Is the broker ready, its group coordinator included? Asks in Kafka's own protocol (FindCoordinator v0, then OffsetFetch v1 at the
 * coordinator): fifty lines, and no client that logs the start-up race "group coordinator is not available" as an error.
 * Protocol: https://kafka.apache.org/protocol
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const probeGroup = 'holdfast.dev.readiness';
const answerLimitMs = 2_000;
const findCoordinator = 10;
const offsetFetch = 9;

/** Rejects when the signal fires first. Of several brokers another one may be the coordinator: that one is asked then. */
export async function untilKafkaAnswers(port: number, signal: AbortSignal): Promise<void> {
  while (!(await isKafkaReady(port))) await sleep(100, undefined, { signal });
}

async function isKafkaReady(port: number): Promise<boolean> {
  try {
    const found = await ask(port, findCoordinator, 0, text(probeGroup));
    if (found.readInt16BE(0) !== 0) return false;
    const coordinator = found.readInt32BE(found.length - 4); // v0: error code, node, host, port
    const offsets = await ask(
      coordinator,
      offsetFetch,
      2,
      Buffer.concat([text(probeGroup), int32(-1)]),
    );
    return offsets.readInt16BE(offsets.length - 2) === 0; // loaded: v2 ends with the group's error code
  } catch {
    return false; // not listening yet, or closed half-way: asked again until the limit
  }
}

/** One request on a connection of its own; resolves with the body of the answer. */
function ask(port: number, apiKey: number, version: number, body: Buffer): Promise<Buffer> {
  const header = Buffer.concat([
    int16(apiKey),
    int16(version),
    int32(1),
    text('holdfast-readiness'),
  ]);
  const request = Buffer.concat([header, body]);
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let received = Buffer.alloc(0);
    socket.setTimeout(answerLimitMs, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without an answer')));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return;
      resolve(received.subarray(8)); // after length and correlation id
      socket.destroy();
    });
    socket.write(Buffer.concat([int32(request.length), request]));
  });
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([int16(bytes.length), bytes]);
}
