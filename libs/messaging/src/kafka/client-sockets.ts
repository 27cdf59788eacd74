import net from 'node:net';
import tls from 'node:tls';
import type { ISocketFactory } from 'kafkajs';

const KEEP_ALIVE_MS = 60_000;

/**
 * The sockets of one client, so that its owner can end them all, for good. kafkajs forgets some when a connection fails (a
 * broker that it removes keeps its other connection), and connects again after its disconnect if a late call asks it to. Such
 * a socket keeps a process from ending, or still carries an old request.
 */
export class ClientSockets {
  private readonly open = new Set<net.Socket>();
  private ended = false;

  /** A factory for kafkajs over `connect`, or over plain net and tls. */
  factory(connect: ISocketFactory = connectSocket): ISocketFactory {
    return (target) => {
      const socket = connect(target);
      if (this.ended) return socket.destroy(endedError());
      this.open.add(socket);
      socket.once('close', () => this.open.delete(socket));
      return socket;
    };
  }

  destroy(): void {
    this.ended = true;
    for (const socket of this.open) socket.destroy(endedError());
  }
}

/** As kafkajs' own, which it does not export. */
const connectSocket: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const socket = (ssl as tls.ConnectionOptions | null)
    ? tls.connect(
        { host, port, ...(net.isIP(host) ? {} : { servername: host }), ...ssl },
        onConnect,
      )
    : net.connect({ host, port }, onConnect);
  return socket.setKeepAlive(true, KEEP_ALIVE_MS);
};

/** With an error, for kafkajs listens to errors and not to 'close': its timers for the connection would run for ever. */
const endedError = () => new Error('The client of this connection has ended');
