/** A wait that ends at its time or when `signal` fires, whichever is first. Never rejects. */
export function pause(waitMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(done, waitMs);
    signal?.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
  });
}

/** Waits for `work`, but no longer than `limitMs`. False: it is not done yet. Rejects as `work` does. */
export async function within(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  try {
    const done = work.then(() => true);
    const late = pause(limitMs, over.signal).then(() => false);
    return await Promise.race([done, late]);
  } finally {
    over.abort();
  }
}
