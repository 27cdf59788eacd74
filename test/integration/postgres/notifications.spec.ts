/** Real: Postgres; terminated backends. Stands in: nothing. */
import { Database, Notifications } from '#libs/postgres';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';
import { until } from './until.js';

let fresh: FreshDatabase;
let database: Database;
const open: Notifications[] = [];

beforeAll(async () => {
  fresh = await freshDatabase();
  database = new Database({ url: fresh.url, applicationName: 'spec' });
});
afterEach(() => Promise.all(open.splice(0).map((notifications) => notifications.close())));
afterAll(async () => {
  await database.close();
  await fresh.drop();
});

const notifications = (applicationName: string, onError?: (error: Error) => void) => {
  const made = new Notifications({ url: fresh.url, applicationName, onError });
  open.push(made);
  return made;
};
const heard = async (on: Notifications, channel: string) => {
  const payloads: string[] = [];
  on.listen(channel, (payload) => payloads.push(payload));
  await until(() => payloads.length === 1); // the call after connecting
  payloads.length = 0;
  return payloads;
};
const terminate = (applicationName: string) =>
  database.query(
    'SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = $1',
    [applicationName],
  );

it('a hint reaches listeners in this and other processes, and on its own channel only', async () => {
  const [here, there] = [notifications('here'), notifications('there')];
  const [heardHere, heardThere, other] = [
    await heard(here, 'outbox'),
    await heard(there, 'outbox'),
    await heard(there, 'Other "channel"'),
  ];
  here.notify('outbox');
  await until(() => heardHere.length > 0 && heardThere.length > 0);
  expect(other).toEqual([]);
  here.notify('Other "channel"');
  await until(() => other.length > 0);
});

it('many hints are at most one NOTIFY in 5 ms, and the last is always followed by one', async () => {
  const [sender, receiver] = [notifications('sender'), notifications('receiver')];
  const received = await heard(receiver, 'burst');
  const startedAt = performance.now();
  for (let burst = 0; burst < 100; burst++) {
    for (let i = 0; i < 100; i++) sender.notify('burst');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const after = received.length;
  sender.notify('burst');
  await until(() => received.length > after);
  const elapsedMs = performance.now() - startedAt;
  expect(received.length).toBeLessThanOrEqual(elapsedMs / 5 + 2);
});

it('a hint from a transaction of somebody else carries its payload', async () => {
  const received = await heard(notifications('listener'), 'foreign');
  await database.query(`SELECT pg_notify('foreign', 'hello')`);
  await until(() => received.length > 0);
  expect(received).toEqual(['hello']);
});

it('a lost connection heals, calls every listener once, and hints flow again', async () => {
  const errors: Error[] = [];
  const listener = notifications('lossy', (error) => errors.push(error));
  const received = await heard(listener, 'lossy');
  await terminate('lossy');
  await until(() => received.length === 1);
  expect(errors.length).toBeGreaterThan(0);
  listener.notify('lossy');
  await until(() => received.length === 2);
});

it('waits for a database that is not there, and close() ends the waiting', async () => {
  const errors: Error[] = [];
  const nowhere = new Notifications({
    url: 'postgres://nobody@127.0.0.1:1/none',
    onError: (error) => errors.push(error),
  });
  nowhere.notify('x');
  await until(() => errors.length >= 2);
  await nowhere.close();
});
