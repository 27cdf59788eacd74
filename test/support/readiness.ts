/** What `/readyz` of a process says. */
import type { AppProcess } from './app-process.js';
import { eventually } from './eventually.js';

export interface Indicator {
  readonly status: 'up' | 'degraded' | 'down';
  readonly message?: string;
}

export interface Readiness {
  readonly http: number;
  readonly status: string;
  readonly details: Readonly<Record<string, Indicator>>;
}

/** Where a started api or processor answers. */
export async function originOf(app: AppProcess): Promise<string> {
  const line = await app.ready();
  const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
  if (origin === undefined) throw new Error(`No address in "${line}"`);
  return origin;
}

export async function readinessOf(origin: string): Promise<Readiness> {
  const answer = await fetch(`${origin}/readyz`);
  return { http: answer.status, ...((await answer.json()) as Omit<Readiness, 'http'>) };
}

/** Resolves with all that it says, once it says that of the dependency. */
export function readinessOnce(
  origin: string,
  name: string,
  status: Indicator['status'],
  message = /^/,
): Promise<Readiness> {
  return eventually(`${name} is ${status}`, async () => {
    const readiness = await readinessOf(origin);
    const indicator = readiness.details[name];
    const fits = indicator?.status === status && message.test(indicator.message ?? '');
    return fits && readiness;
  });
}
