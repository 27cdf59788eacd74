/** Callers over HTTP: as many at once as the service bears, or so many a second. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';

export interface Submission {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

export interface Submitted {
  /** Monotonic, by key: when the caller sent it. */
  readonly sentAtMs: ReadonlyMap<string, number>;
  readonly acceptMs: readonly number[];
  readonly tookMs: number;
}

export async function submitAll(
  url: string,
  keys: readonly string[],
  callers: number,
  submissionOf: (key: string) => Submission,
): Promise<Submitted> {
  const post = poster(url, callers, submissionOf);
  const startedAtMs = performance.now();
  const queue = keys.values();
  const caller = async () => {
    for (const key of queue) await post.send(key);
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return { ...post, tookMs: performance.now() - startedAtMs };
}

export async function submitSteadily(
  url: string,
  keys: readonly string[],
  perSecond: number,
  submissionOf: (key: string) => Submission,
): Promise<Submitted> {
  const post = poster(url, 16, submissionOf);
  const startedAtMs = performance.now();
  const sending = keys.map(async (key, index) => {
    await sleep((index * 1_000) / perSecond);
    await post.send(key);
  });
  await Promise.all(sending);
  return { ...post, tookMs: performance.now() - startedAtMs };
}

function poster(url: string, connections: number, submissionOf: (key: string) => Submission) {
  const dispatcher = new Agent({ connections });
  const sentAtMs = new Map<string, number>();
  const acceptMs: number[] = [];
  const send = async (key: string) => {
    const { path, headers, body } = submissionOf(key);
    sentAtMs.set(key, performance.now());
    const answer = await request(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      dispatcher,
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 202)
      throw new Error(`${path} answered ${answer.statusCode}: ${text}`);
    acceptMs.push(performance.now() - (sentAtMs.get(key) ?? 0));
  };
  return { send, sentAtMs, acceptMs };
}
