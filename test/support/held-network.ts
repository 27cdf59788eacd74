/**
 * A TCP proxy between a process and Postgres that can hold what the process sends, and let it through later, as it was: a write
 * that was on its way when its sender lost the right to make it.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export class HeldNetwork {
  private readonly sockets = new Set<Socket>();
  private readonly held: (() => void)[] = [];
  private armedFor: string | null = null;
  private holding = false;
  private onHolding: () => void = () => undefined;
  private readonly server = createServer((client) => this.join(client));

  private constructor(private readonly target: URL) {}

  static async before(databaseUrl: string): Promise<HeldNetwork> {
    const network = new HeldNetwork(new URL(databaseUrl));
    network.server.listen(0, '127.0.0.1');
    await once(network.server, 'listening');
    return network;
  }

  get url(): string {
    const url = new URL(this.target);
    url.host = `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return url.href;
  }

  /** Holds everything, from the first bytes on that hold this text. Resolves when that has come about. */
  holdFrom(text: string): Promise<void> {
    this.armedFor = text;
    return new Promise((resolve) => (this.onHolding = resolve));
  }

  /** Lets through what was held, in order, and everything after it. */
  release(): void {
    this.holding = false;
    for (const send of this.held.splice(0)) send();
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.sockets.forEach((socket) => socket.destroy());
    await closed;
  }

  private join(client: Socket): void {
    const server = connect(Number(this.target.port), this.target.hostname);
    client.on('data', (bytes) => {
      if (this.armedFor !== null && bytes.includes(this.armedFor)) {
        this.armedFor = null;
        this.holding = true;
        this.onHolding();
      }
      if (this.holding) this.held.push(() => server.write(bytes));
      else server.write(bytes);
    });
    server.on('data', (bytes) => client.write(bytes));
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
