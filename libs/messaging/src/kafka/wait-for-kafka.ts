import type { KafkaConnection } from './kafka-connection.js';
import { pause } from '../pause.js';
import { withAdmin } from './with-admin.js';

const RETRY_MS = 500;
const SAY_EVERY_MS = 5_000;

/**
 * Resolves once the cluster answers and its group coordinator is ready (right after a broker's start it is not, and joining
 * then looks like a fault). Rejects only when `signal` fires.
 * @param onWaiting gets one line for people at once, and then every 5 s.
 */
export async function waitForKafka(
  connection: KafkaConnection,
  { signal, onWaiting }: { signal: AbortSignal; onWaiting: (line: string) => void },
): Promise<void> {
  let saidAtMs = -Infinity;
  for (;;) {
    signal.throwIfAborted();
    const problem = await problemOf(connection);
    if (problem === null) return;
    if (performance.now() - saidAtMs >= SAY_EVERY_MS) {
      saidAtMs = performance.now();
      onWaiting(`waiting for Kafka at ${connection.brokers.join(', ')}: ${problem}`);
    }
    await pause(RETRY_MS, signal);
  }
}

async function problemOf(connection: KafkaConnection): Promise<string | null> {
  try {
    await withAdmin(connection, (admin) =>
      admin.describeGroups([connection.groupName('holdfast.readiness')]),
    );
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
