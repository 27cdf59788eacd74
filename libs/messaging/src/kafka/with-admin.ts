import type { Admin } from 'kafkajs';
import { ClientSockets } from './client-sockets.js';
import { CLIENT_RETRY, type KafkaConnection } from './kafka-connection.js';

const REQUEST_TIMEOUT_MS = 5_000;

/** An admin client for as long as `work` takes; nothing of it is left afterwards, however it ends. */
export async function withAdmin<T>(
  connection: KafkaConnection,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const sockets = new ClientSockets();
  // One repeat: a new client knows no broker until its first question has failed. Longer waits are the caller's.
  const retry = { ...CLIENT_RETRY, initialRetryTime: 50, retries: 1 };
  const client = connection.newClient({ retry, requestTimeout: REQUEST_TIMEOUT_MS }, sockets);
  const admin = client.admin();
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    sockets.destroy();
    await admin.disconnect().catch(() => undefined); // Nobody needs it any more.
  }
}
