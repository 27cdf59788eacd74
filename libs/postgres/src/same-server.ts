/**
 * Do both URLs name one Postgres server, so that what is committed first is also first in its log? False where that is not plain:
 * several hosts, a socket, parameters that name a host.
 */
export function isSameServer(oneUrl: string, otherUrl: string): boolean {
  const one = serverOf(oneUrl);
  return one !== null && one === serverOf(otherUrl);
}

function serverOf(url: string): string | null {
  if (!URL.canParse(url)) return null;
  const { hostname, port, searchParams } = new URL(url);
  if (hostname === '' || hostname.includes(',')) return null;
  if (searchParams.has('host') || searchParams.has('port')) return null;
  return `${hostname}:${port || DEFAULT_PORT}`;
}

const DEFAULT_PORT = '5432';
