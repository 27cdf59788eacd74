import type { ConsumerOptions } from './consumer-options.js';
import { ConsumerRuntime } from './consumer-runtime.js';
import { ImmediateHandOver } from './hand-over.js';

/** One member of a consumer group that hands records over as they come. Its promises: `consumer-runtime.ts`. */
export class Consumer extends ConsumerRuntime {
  constructor(options: ConsumerOptions & { readonly topics: readonly string[] }) {
    super({
      ...options,
      dueAtMs: () => 0,
      handOver: (release) => new ImmediateHandOver(release),
    });
  }
}
