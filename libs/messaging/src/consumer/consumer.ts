import type { ConsumerOptions, ConsumerStatus } from './consumer-options.js';
import { ConsumerRuntime } from './consumer-runtime.js';
import { ImmediateHandOver } from './hand-over.js';

/** One member of a consumer group that hands records over as they come. Its promises: `consumer-runtime.ts`. */
export class Consumer {
  private readonly runtime: ConsumerRuntime;

  constructor(options: ConsumerOptions & { readonly topics: readonly string[] }) {
    this.runtime = new ConsumerRuntime({
      ...options,
      dueAtMs: () => 0,
      handOver: (release) => new ImmediateHandOver(release),
    });
  }

  /** Resolves at the first assignment. */
  get joined(): Promise<void> {
    return this.runtime.joined;
  }

  start(): Promise<void> {
    return this.runtime.start();
  }

  stop(options: { graceMs: number }): Promise<void> {
    return this.runtime.stop(options);
  }

  status(): ConsumerStatus {
    return this.runtime.status();
  }
}
