/** Real: Postgres, and a proxy in front of it that is not there at first. Stands in: nothing. */
import { waitForPostgres } from '#libs/postgres';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';
import { FaultyNetwork } from './faulty-network.js';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

const portNobodyListensOn = async () => {
  const network = await FaultyNetwork.before(fresh.url);
  const { port, url } = network;
  await network.close();
  return { port, url };
};

it('says what it waits for, and for how long, without the password; then goes on', async () => {
  const { port, url } = await portNobodyListensOn();
  const lines: string[] = [];
  let back: FaultyNetwork | undefined;
  await waitForPostgres(url, {
    signal: new AbortController().signal,
    onWaiting: (line) => {
      lines.push(line);
      void FaultyNetwork.before(fresh.url, port).then((network) => (back = network));
    },
  });
  await back?.close();
  expect(lines).toEqual([
    expect.stringMatching(
      new RegExp(
        `^waiting for Postgres at 127.0.0.1:${port}/${fresh.name}: .*ECONNREFUSED.* \\(0 s so far\\)$`,
      ),
    ),
  ]);
  expect(lines.join()).not.toContain(new URL(url).password);
});

it('ends by its signal', async () => {
  const { url } = await portNobodyListensOn();
  const stop = new AbortController();
  const waiting = waitForPostgres(url, {
    signal: stop.signal,
    onWaiting: () => stop.abort(new Error('SIGTERM')),
  });
  await expect(waiting).rejects.toThrow('SIGTERM');
});

it.each([
  ['a wrong password', { password: 'wrong' }, '28P01'],
  ['a database that does not exist', { pathname: '/nowhere' }, '3D000'],
])('does not wait for what waiting cannot mend: %s', async (_, change, code) => {
  const url = Object.assign(new URL(fresh.url), change).href;
  const onWaiting = (line: string) => {
    throw new Error(line);
  };
  const waiting = waitForPostgres(url, { signal: new AbortController().signal, onWaiting });
  await expect(waiting).rejects.toMatchObject({ code });
});
