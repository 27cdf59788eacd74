/**
 * A TCP proxy before Postgres that does to connections what networks do: cut them, go silent, lose one answer.
 *
 * One that was closed may come back on its port. So its port is not one that the system hands out: there any server or outgoing
 * connection of another spec could have it meanwhile, and who knocks at it again and again would at last meet himself.
 */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';

/** Below what Linux (32768), macOS and Windows (49152) give to those who ask for any port. */
const PORTS = { from: 20_000, count: 12_000 };

interface LostAnswer {
  readonly text: string;
  readonly after: string;
}

export class FaultyNetwork {
  private readonly sockets = new Set<Socket>();
  private silent = false;
  private loseAnswerTo: LostAnswer | null = null;
  private readonly server = createServer((client) => this.join(client));

  private constructor(private readonly target: URL) {}

  /** Listening on a port of its own, or on one given. */
  static async before(databaseUrl: string, port?: number): Promise<FaultyNetwork> {
    for (;;) {
      const network = new FaultyNetwork(new URL(databaseUrl));
      network.server.listen(port ?? anyPort(), '127.0.0.1');
      const error = await once(network.server, 'listening').then(
        () => null,
        (reason: NodeJS.ErrnoException) => reason,
      );
      if (error === null) return network;
      if (port !== undefined || error.code !== 'EADDRINUSE') throw error;
    }
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

  /**
   * The next statement that holds the text reaches Postgres, is carried out, and its answer is lost.
   * @param after only on a connection that has carried this one since, by its text or name: the COMMIT of one transaction, say
   */
  loseNextAnswerTo(text: string, after = ''): void {
    this.loseAnswerTo = { text, after };
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
    let armed: LostAnswer | null = null;
    client.on('data', (bytes) => {
      if (this.silent) return;
      const lost = this.loseAnswerTo;
      if (lost !== null && bytes.includes(lost.after)) armed = lost;
      if (lost !== null && armed === lost && bytes.includes(lost.text)) {
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

function anyPort(): number {
  return PORTS.from + Math.floor(Math.random() * PORTS.count);
}
