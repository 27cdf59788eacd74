/** A binary heap by due time; equal times come out in the order they went in. Pure: `now` is an argument. */
export class DueQueue<Item> {
  private readonly heap: Entry<Item>[] = [];
  private sequence = 0;

  get size(): number {
    return this.heap.length;
  }

  push(dueAtMs: number, item: Item): void {
    const { heap } = this;
    heap.push({ dueAtMs, sequence: this.sequence++, item });
    for (let child = heap.length - 1; child > 0;) {
      const parent = (child - 1) >> 1;
      if (!this.swapIfEarlier(child, parent)) return;
      child = parent;
    }
  }

  /** When the earliest item is due; null when empty. */
  nextDueAtMs(): number | null {
    return this.heap[0]?.dueAtMs ?? null;
  }

  /** What is due by now, earliest first, so many at most. Never an item before its time. */
  takeDue(nowMs: number, most = Infinity): Item[] {
    const due: Item[] = [];
    while (due.length < most) {
      const head = this.heap[0];
      if (!head || head.dueAtMs > nowMs) break;
      due.push(head.item);
      this.removeHead();
    }
    return due;
  }

  removeWhere(test: (item: Item) => boolean): void {
    const kept = this.heap.filter(({ item }) => !test(item));
    this.heap.length = 0;
    // Sorted input is already a heap.
    this.heap.push(...kept.sort((a, b) => (isEarlier(a, b) ? -1 : 1)));
  }

  private removeHead(): void {
    const { heap } = this;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    heap[0] = last;
    for (let parent = 0; ;) {
      const left = parent * 2 + 1;
      const smaller =
        left + 1 < heap.length && isEarlier(heap[left + 1], heap[left]) ? left + 1 : left;
      if (smaller >= heap.length || !this.swapIfEarlier(smaller, parent)) return;
      parent = smaller;
    }
  }

  private swapIfEarlier(child: number, parent: number): boolean {
    const { heap } = this;
    const [below, above] = [heap[child], heap[parent]];
    if (!below || !above || !isEarlier(below, above)) return false;
    heap[child] = above;
    heap[parent] = below;
    return true;
  }
}

interface Entry<Item> {
  readonly dueAtMs: number;
  readonly sequence: number;
  readonly item: Item;
}

function isEarlier<Item>(a: Entry<Item> | undefined, b: Entry<Item> | undefined): boolean {
  if (!a || !b) return false;
  return a.dueAtMs < b.dueAtMs || (a.dueAtMs === b.dueAtMs && a.sequence < b.sequence);
}
