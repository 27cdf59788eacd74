import { pausePointNames, type PausePoint } from './pause-points.js';

export const PAUSE_AT = 'HOLDFAST_PAUSE_AT';

export type PauseOrder =
  | { readonly kind: 'none' }
  /** Stop when the point is reached for the nth time, 1-based. */
  | { readonly kind: 'pause'; readonly point: PausePoint; readonly nth: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** `HOLDFAST_PAUSE_AT=<point>[:nth]`; refused in production, where nobody would set the process going again. */
export function parsePause(env: Readonly<Record<string, string | undefined>>): PauseOrder {
  const text = env[PAUSE_AT];
  if (!text) return { kind: 'none' };
  if (env.NODE_ENV === 'production') {
    return { kind: 'refused', reason: 'is for fault specs, and refused with NODE_ENV=production' };
  }
  const [name, nth = '1', ...rest] = text.split(':');
  const point = pausePointNames.find((each) => each === name);
  if (point === undefined || rest.length > 0 || !/^[1-9]\d{0,5}$/.test(nth)) {
    const reason = `must be <point>[:nth], the point one of ${pausePointNames.join(', ')}`;
    return { kind: 'refused', reason };
  }
  return { kind: 'pause', point, nth: Number(nth) };
}
