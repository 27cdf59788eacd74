/** Real: kafkajs' RequestQueue with the guard. Fails when kafkajs changes under it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import {
  GUARDED_KAFKAJS_VERSION,
  installTimerGuard,
  requestQueuePrototype,
} from './timer-guard.js';

const require = createRequire(import.meta.url);

interface Queue {
  pending: unknown[];
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  inflight: Map<number, unknown>;
  scheduleCheckPendingRequests(): void;
  checkPendingRequests(): void;
  destroy(): void;
}

function queue(): Queue {
  const RequestQueue = require('kafkajs/src/network/requestQueue/index.js') as new (
    options: object,
  ) => Queue;
  const logger = { debug: () => undefined, warn: () => undefined };
  return new RequestQueue({
    maxInFlightRequests: 1,
    requestTimeout: 1_000,
    clientId: 'spec',
    broker: 'spec',
    logger,
  });
}

beforeAll(() => installTimerGuard());

describe('the timer guard', () => {
  it('stands on the kafkajs it was written for', () => {
    const manifest = require('../../../../package.json') as {
      dependencies: Record<string, string>;
    };
    expect(manifest.dependencies.kafkajs).toBe(GUARDED_KAFKAJS_VERSION);
    const source = readFileSync(require.resolve('kafkajs/src/network/requestQueue/index.js'));
    expect(createHash('sha256').update(source).digest('hex')).toBe(
      'b55986089c14f8f7bfc377922e2e65b3e4c1e7c7af2752d3b10a75dfe9e9260c',
    );
    expect(typeof requestQueuePrototype().scheduleCheckPendingRequests).toBe('function');
  });

  it('sets no timer while nothing is pending', () => {
    const idle = queue();
    idle.scheduleCheckPendingRequests();
    idle.checkPendingRequests();
    expect(idle.throttleCheckTimeoutId).toBeNull();
  });

  it('sends what is pending once the throttle is over', async () => {
    const throttled = queue();
    const sent = Promise.withResolvers<number>();
    throttled.throttledUntil = Date.now() + 60;
    throttled.pending.push({
      send: () => sent.resolve(Date.now()),
      expectResponse: true,
      correlationId: 1,
    });
    throttled.scheduleCheckPendingRequests();
    expect(await sent.promise).toBeGreaterThanOrEqual(throttled.throttledUntil - 1);
  });

  it('never asks for a delay under 10 ms', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    const full = queue();
    full.inflight.set(1, {});
    full.pending.push({});
    let checks = 0;
    const check = full.checkPendingRequests.bind(full);
    full.checkPendingRequests = () => {
      checks += 1;
      check();
    };
    full.scheduleCheckPendingRequests();
    await new Promise((resolve) => setTimeout(resolve, 105));
    full.destroy();
    process.off('warning', onWarning);
    expect(checks).toBeLessThanOrEqual(10);
    expect(warnings.filter(({ name }) => name === 'TimeoutNegativeWarning')).toEqual([]);
  });

  it('is installed once, however often it is asked', () => {
    const method = () =>
      Object.getOwnPropertyDescriptor(requestQueuePrototype(), 'scheduleCheckPendingRequests');
    const before = method();
    installTimerGuard();
    expect(method()).toEqual(before);
  });
});
