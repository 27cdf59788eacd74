/**
 * kafkajs 2.2.4 re-arms a timer after every response, with a negative delay when nothing is throttled: about 7 % of a core
 * per idle process, and a TimeoutNegativeWarning each time on Node 24. This replaces that one method: no timer when nothing
 * is pending, and never one shorter than 10 ms. It reaches into the library, so the version is pinned here too, and a spec
 * fails when the internals move.
 */
import { createRequire } from 'node:module';

export const GUARDED_KAFKAJS_VERSION = '2.2.4';
const MIN_CHECK_MS = 10;

/** The part of kafkajs' RequestQueue that the guard stands on. */
interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

export class KafkaClientInternalsMovedError extends Error {
  override readonly name = 'KafkaClientInternalsMovedError';
  readonly code = 'kafka_client_internals_moved';
  constructor(what: string) {
    super(
      `${what}: the timer guard was written for kafkajs ${GUARDED_KAFKAJS_VERSION}; pin it or review the guard`,
    );
  }
}

const installed = Symbol.for('holdfast.kafkajs-timer-guard');

/** Idempotent, process-wide. @throws KafkaClientInternalsMovedError */
export function installTimerGuard(): void {
  const prototype = requestQueuePrototype();
  if (Object.hasOwn(prototype, installed)) return;
  prototype.scheduleCheckPendingRequests = scheduleGuarded;
  Object.defineProperty(prototype, installed, { value: true });
}

function scheduleGuarded(this: RequestQueue): void {
  if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return;
  const waitMs = Math.max(MIN_CHECK_MS, this.throttledUntil - Date.now());
  this.throttleCheckTimeoutId = setTimeout(() => {
    this.throttleCheckTimeoutId = null;
    this.checkPendingRequests();
  }, waitMs);
}

export function requestQueuePrototype(): RequestQueue {
  const require = createRequire(import.meta.url);
  const { version } = require('kafkajs/package.json') as { version: string };
  if (version !== GUARDED_KAFKAJS_VERSION) {
    throw new KafkaClientInternalsMovedError(`kafkajs is ${version}`);
  }
  const { prototype } = require('kafkajs/src/network/requestQueue/index.js') as {
    prototype: RequestQueue | undefined;
  };
  if (
    typeof prototype?.scheduleCheckPendingRequests !== 'function' ||
    typeof prototype.checkPendingRequests !== 'function'
  ) {
    throw new KafkaClientInternalsMovedError('RequestQueue has other methods');
  }
  return prototype;
}
