/** A TCP proxy before Postgres that does to connections what networks do: cut them, go silent, lose one answer. */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';

export class FaultyNetwork {
  private readonly sockets = new Set<Socket>();
  private silent = false;
  private loseAnswerTo: string | null = null;
  private readonly server = createServer((client) => this.join(client));

  private constructor(private readonly target: URL) {}

  /** Listening on a port of its own, or on one given. */
  static async before(databaseUrl: string, port = 0): Promise<FaultyNetwork> {
    const network = new FaultyNetwork(new URL(databaseUrl));
    network.server.listen(port, '127.0.0.1');
    await once(network.server, 'listening');
    return network;
  }

  get url(): string {
    const url = new URL(this.target);
    url.host = `127.0.0.1:${this.port}`;
    return url.href;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Ends every connection there is; new ones work. */
  cut(): void {
    this.sockets.forEach((socket) => socket.destroy());
  }

  /** From now on nothing gets through and nothing is closed: a pulled cable. */
  goSilent(): void {
    this.silent = true;
  }

  /** The next statement that holds the text reaches Postgres, is carried out, and its answer is lost. */
  loseNextAnswerTo(text: string): void {
    this.loseAnswerTo = text;
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close(); // first: whoever is cut may connect again at once
    this.cut();
    await closed;
  }

  private join(client: Socket): void {
    const server = connect(Number(this.target.port), this.target.hostname);
    let answerIsLost = false;
    client.on('data', (bytes) => {
      if (this.silent) return;
      if (this.loseAnswerTo !== null && bytes.includes(this.loseAnswerTo)) {
        this.loseAnswerTo = null;
        answerIsLost = true;
      }
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (this.silent) return;
      if (answerIsLost) client.destroy();
      else client.write(bytes);
    });
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
