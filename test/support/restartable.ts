/** A throw-away server of a spec's own, which can be struck dead and started again on its data. */
import type { Child, Supervisor } from '../../dev/stack/supervisor.js';

/** Stopped without a goodbye: Kafka by SIGKILL, Postgres by SIGQUIT. */
export class Restartable {
  private child: Child | undefined;

  constructor(
    private readonly supervisor: Supervisor,
    /** Resolves with the server's address when it takes work. */
    private readonly begin: (starter: Pick<Supervisor, 'start'>) => Promise<string>,
  ) {}

  start(): Promise<string> {
    return this.begin({
      start: async (spec) => (this.child = await this.supervisor.start(spec)),
    });
  }

  async stop(): Promise<void> {
    await this.child?.stop();
  }

  /** Resolves when it takes work again. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }
}
