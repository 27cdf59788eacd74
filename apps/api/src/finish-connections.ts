import type { Server } from 'node:http';

const LOOK_EVERY_MS = 50;

/**
 * Lets a closing server's connections end: Node closes those that are idle when `close()` is called, but one that was answering
 * then is kept alive for the next request, and the server waits for it (over a minute). Past the grace all are cut.
 * Call the result when the server has closed.
 */
export function finishConnections(server: Server, graceMs: number): () => void {
  const sweep = setInterval(() => server.closeIdleConnections(), LOOK_EVERY_MS);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  return () => {
    clearInterval(sweep);
    clearTimeout(cut);
  };
}
