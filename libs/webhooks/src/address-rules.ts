/** Which addresses a webhook may go to. Pure. */
import ipaddr from 'ipaddr.js';

/**
 * - `public`: anybody's.
 * - `private`: this machine or its network (loopback, private, unique-local, carrier-grade NAT). Taken only where a setting says so.
 * - `never`: link-local (where clouds keep the credentials of a machine), multicast, unspecified, reserved, tunnels and
 *   translations, whose inner address nobody has looked at.
 */
export type AddressKind = 'public' | 'private' | 'never';

const privateRanges: readonly string[] = ['loopback', 'private', 'uniqueLocal', 'carrierGradeNat'];

/** An IPv6 address that is an IPv4 one in disguise (`::ffff:10.0.0.1`) is what it hides. */
export function kindOfAddress(address: string): AddressKind {
  if (!ipaddr.isValid(address)) return 'never';
  const range = ipaddr.process(address).range();
  if (range === 'unicast') return 'public';
  return privateRanges.includes(range) ? 'private' : 'never';
}
