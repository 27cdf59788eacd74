/**
 * The addresses of a receiver, looked up once and looked at, each of them. The connection is made to one of these and to no
 * other, so that a name that means something else a moment later (DNS re-binding) leads nowhere.
 *
 * Numbers in every spelling (`2130706433`, `0177.0.0.1`, `[::ffff:7f00:1]`) go the same way: the URL parser writes them out,
 * and a look-up gives an address back as it is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { kindOfAddress } from './address-rules.js';

export interface Address {
  readonly address: string;
  readonly family: number;
}

export type Lookup = (host: string) => Promise<readonly Address[]>;

export type Found =
  | { readonly kind: 'found'; readonly addresses: readonly Address[] }
  /** Nothing leaves for it: one of its addresses is none to send to, or it would go in clear over the open network. */
  | { readonly kind: 'refused'; readonly because: 'address_refused' | 'not_https' }
  | { readonly kind: 'not_found'; readonly cause: string };

export interface FindOptions {
  readonly lookup: Lookup;
  readonly privateAddresses: 'refused' | 'allowed';
  readonly timeoutMs: number;
}

export async function findAddresses(url: URL, options: FindOptions): Promise<Found> {
  const { lookup, privateAddresses, timeoutMs } = options;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  try {
    const addresses = await within(lookup(host), timeoutMs);
    const kinds = addresses.map(({ address }) => kindOfAddress(address));
    if (kinds.length === 0) return { kind: 'not_found', cause: 'no_address' };
    if (!kinds.every((kind) => isAllowed(kind, privateAddresses))) {
      return { kind: 'refused', because: 'address_refused' };
    }
    const isInClear = url.protocol !== 'https:' && kinds.includes('public');
    return isInClear
      ? { kind: 'refused', because: 'not_https' }
      : { kind: 'found', addresses: [...addresses] };
  } catch (error) {
    return { kind: 'not_found', cause: codeOf(error) };
  }
}

function isAllowed(kind: ReturnType<typeof kindOfAddress>, privateAddresses: string): boolean {
  return kind === 'public' || (kind === 'private' && privateAddresses === 'allowed');
}

/** The system's own look-up can't be called off; it is not waited for. */
async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const stop = new AbortController();
  const limit = sleep(timeoutMs, undefined, { signal: stop.signal }).then(() => {
    throw Object.assign(new Error('the name was not looked up in time'), { code: 'ETIMEOUT' });
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    limit.catch(() => undefined);
    stop.abort();
  }
}

function codeOf(error: unknown): string {
  const code: unknown = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'lookup_failed';
}
