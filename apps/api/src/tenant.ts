import type { FastifyRequest } from 'fastify';

/**
 * Whose run, whose document: decided here and nowhere else. Until callers are authenticated there is one tenant, and the api
 * listens on loopback only; afterwards this reads the credentials that the request was admitted with.
 */
export function tenantOf(_request: FastifyRequest): string {
  return 'default';
}
