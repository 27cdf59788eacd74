/** Real: ports of this machine. */
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { choosePort, portWish } from './ports.js';

describe('the choice of a port', () => {
  let server: Server;
  let busy: number;
  beforeEach(async () => {
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    busy = (server.address() as AddressInfo).port;
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  it('takes another where the preferred one is busy, and says which one it was', async () => {
    const chosen = await choosePort({ kind: 'preferred', port: busy }, 'Kafka');
    expect(chosen).toEqual({ port: expect.any(Number) as number, insteadOf: busy });
    expect(chosen.port).not.toBe(busy);
  });

  it('refuses a busy port that a setting names, and says what to do', async () => {
    const wish = { kind: 'exact', port: busy, setting: 'KAFKA_PORT' } as const;
    await expect(choosePort(wish, 'Kafka')).rejects.toThrow(
      new RegExp(`Port ${busy}, wanted for Kafka, is in use[^]*KAFKA_PORT=`),
    );
  });

  it.each([
    [undefined, { kind: 'preferred', port: 19092 }],
    ['', { kind: 'preferred', port: 19092 }],
    ['9092', { kind: 'exact', port: 9092, setting: 'KAFKA_PORT' }],
  ])('KAFKA_PORT=%s', (value, wish) => {
    expect(portWish(value, 'KAFKA_PORT', 19092)).toEqual(wish);
  });

  it.each(['0', '65536', '9092x', '-1'])('KAFKA_PORT=%s is refused', (value) => {
    expect(() => portWish(value, 'KAFKA_PORT', 19092)).toThrow('is not a port');
  });
});
