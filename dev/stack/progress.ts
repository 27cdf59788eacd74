/** A line for whatever takes more than two seconds, and another one now and then, so that nobody wonders. */
export type Log = (line: string) => void;

const firstMs = 2_000;
const againMs = 5_000;

export async function withProgress<T>(log: Log, doing: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const tell = () => log(`${doing} … ${Math.round((performance.now() - startedAt) / 1000)} s`);
  let timer = setTimeout(function again() {
    tell();
    timer = setTimeout(again, againMs);
  }, firstMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
