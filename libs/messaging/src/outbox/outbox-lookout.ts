/**
 * What waits in the outbox, whoever leads: readiness and metrics of every process ask, leaders and standbys alike. It has a read
 * floor of its own: without it each look would step over all dead rows that a held snapshot keeps (read-floor.ts).
 *
 * (K1) One look at a time, begun after its sample of the horizon: so what it finds may raise the floor (F3). Who asks meanwhile
 *      gets the same answer.
 * (K2) Its floor outlives sessions, which no relay's may (F4): nothing is published by it, and a look that fails starts anew.
 */
import type { Sql } from '#libs/postgres';
import { ReadFloor } from './read-floor.js';
import type { OutboxBacklog, RelayStore } from './relay.store.js';

export class OutboxLookout {
  private floor = new ReadFloor();
  private looking: Promise<number> | null = null;

  constructor(
    private readonly store: RelayStore,
    private readonly sql: Sql,
  ) {}

  /** How long the oldest row that is not parked has waited; 0 when there is none. */
  oldestMs(): Promise<number> {
    this.looking ??= this.look().finally(() => (this.looking = null)); // (K1)
    return this.looking;
  }

  /** Counted among the oldest 10,000 rows. */
  backlog(): Promise<OutboxBacklog> {
    return this.store.backlog(this.sql, this.floor.seq);
  }

  private async look(): Promise<number> {
    try {
      this.floor.sampled(await this.store.horizon(this.sql));
      const oldest = await this.store.oldest(this.sql, this.floor.seq);
      this.floor.read(oldest?.seq ?? null);
      return Math.max(0, oldest?.waitedMs ?? 0);
    } catch (error) {
      this.floor = new ReadFloor(); // (K2)
      throw error;
    }
  }
}
