import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/**
 * SHA-256 of a body's RFC 8785 form, as it was sent, before defaults: two bodies with the same hash ask for the same thing,
 * whatever the order of their fields and the white space between them.
 */
export function bodyHashOf(body: unknown): Buffer {
  return createHash('sha256')
    .update(canonicalize(body) ?? '')
    .digest();
}
