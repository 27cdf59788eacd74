/**
 * Who goes next of those who wait: start-time fair queueing (Goyal, Vin, Cheng 1996) over tenants, interactive before batch.
 *
 * (Q1) What a tenant has waiting counts only against itself: the first item of a tenant that had none is preceded by at most
 *      one item of each other tenant, however many they have.
 * (Q2) Over time tenants that wait get cost by weight.
 * (Q3) While both wait, one item in `BATCH_TURN` is of a batch: interactive work goes first, and starves nobody for ever.
 */
import type { RunPriority } from '#libs/domain';

export interface Queued {
  readonly tenant: string;
  readonly priority: RunPriority;
  /** Over 0. */
  readonly weight: number;
  /** Over 0: what the tenant's share is counted in. */
  readonly cost: number;
}

const BATCH_TURN = 10;

export class FairQueue<Item extends Queued> {
  private readonly lanes: Readonly<Record<RunPriority, TenantsInTurn<Item>>> = {
    interactive: new TenantsInTurn(),
    batch: new TenantsInTurn(),
  };
  private interactiveInARow = 0;

  get size(): number {
    return this.lanes.interactive.size + this.lanes.batch.size;
  }

  push(item: Item): void {
    this.lanes[item.priority].push(item);
  }

  /** The one that `shift` would take. */
  peek(): Item | undefined {
    return this.next().peek();
  }

  shift(): Item | undefined {
    const item = this.next().shift();
    if (item !== undefined)
      this.interactiveInARow = item.priority === 'batch' ? 0 : this.interactiveInARow + 1;
    return item;
  }

  /** False: it does not wait here. */
  remove(item: Item): boolean {
    return this.lanes[item.priority].remove(item);
  }

  /** In no order. */
  items(): readonly Item[] {
    return [...this.lanes.interactive.items(), ...this.lanes.batch.items()];
  }

  private next(): TenantsInTurn<Item> {
    const { interactive, batch } = this.lanes;
    if (batch.size === 0) return interactive;
    const isBatchsTurn = this.interactiveInARow >= BATCH_TURN - 1; // (Q3)
    return interactive.size === 0 || isBatchsTurn ? batch : interactive;
  }
}

interface Tagged<Item> {
  readonly item: Item;
  readonly start: number;
}

class TenantsInTurn<Item extends Queued> {
  private readonly waiting = new Map<string, Tagged<Item>[]>();
  /** Where the next item of a tenant starts, in virtual time. */
  private readonly finished = new Map<string, number>();
  private virtualTime = 0;
  size = 0;

  push(item: Item): void {
    const { tenant, cost, weight } = item;
    const start = Math.max(this.virtualTime, this.finished.get(tenant) ?? 0); // (Q1)
    this.finished.set(tenant, start + cost / weight); // (Q2)
    const line = this.waiting.get(tenant) ?? [];
    line.push({ item, start });
    this.waiting.set(tenant, line);
    this.size += 1;
  }

  peek(): Item | undefined {
    return this.first()?.[0]?.item;
  }

  shift(): Item | undefined {
    const line = this.first();
    const tagged = line?.shift();
    if (tagged === undefined) return undefined;
    this.virtualTime = tagged.start;
    this.left(tagged.item.tenant, line);
    return tagged.item;
  }

  remove(item: Item): boolean {
    const line = this.waiting.get(item.tenant);
    const index = line?.findIndex((tagged) => tagged.item === item) ?? -1;
    if (index < 0) return false;
    line!.splice(index, 1);
    this.left(item.tenant, line);
    return true;
  }

  items(): Item[] {
    return [...this.waiting.values()].flatMap((line) => line.map(({ item }) => item));
  }

  /** The line whose head starts first; of equals the one that came first. */
  private first(): Tagged<Item>[] | undefined {
    let first: Tagged<Item>[] | undefined;
    for (const line of this.waiting.values())
      if (first === undefined || line[0]!.start < first[0]!.start) first = line;
    return first;
  }

  private left(tenant: string, line: Tagged<Item>[] | undefined): void {
    this.size -= 1;
    if (line?.length === 0) this.waiting.delete(tenant);
    if (this.size > 0) return;
    this.finished.clear(); // nobody waits: all begin anew
    this.virtualTime = 0;
  }
}
