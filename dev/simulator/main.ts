/**
 * The simulator as a process. Settings: SIMULATOR_HOST (default 127.0.0.1), SIMULATOR_PORT (default 3900), SIMULATOR_DATA (file that survives restarts; default
 * none), SIMULATOR_LATENCY_MS (usual time of one model execution; default 1200), SIMULATOR_WEBHOOK_URL and SIMULATOR_WEBHOOK_SECRET
 * (where webhooks go, and what they are signed with; default: none are sent).
 */
import { startSimulator } from './simulator.js';

const simulator = await startSimulator({
  host: process.env.SIMULATOR_HOST || '127.0.0.1',
  port: wholeNumber('SIMULATOR_PORT', 3900),
  latencyMs: wholeNumber('SIMULATOR_LATENCY_MS', 1_200),
  ...(process.env.SIMULATOR_DATA ? { dataFile: process.env.SIMULATOR_DATA } : {}),
  ...(process.env.SIMULATOR_WEBHOOK_URL && process.env.SIMULATOR_WEBHOOK_SECRET
    ? {
        webhooks: {
          url: process.env.SIMULATOR_WEBHOOK_URL,
          secret: process.env.SIMULATOR_WEBHOOK_SECRET,
        },
      }
    : {}),
}).catch((error: unknown) => fail(error instanceof Error ? error.message : String(error), 1));
console.log(
  `ready: OpenAI simulator on ${simulator.baseUrl}, data ${process.env.SIMULATOR_DATA ?? 'in memory'}`,
);
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => {
    void simulator.close().then(() => process.exit(0));
  });

function wholeNumber(name: string, fallback: number): number {
  const value = process.env[name];
  if (value === undefined || value === '') return fallback;
  return /^\d+$/.test(value)
    ? Number(value)
    : fail(`${name} must be a whole number, got "${value}"`, 78);
}

function fail(message: string, exitCode: number): never {
  console.error(`simulator: ${message}`);
  process.exit(exitCode);
}
