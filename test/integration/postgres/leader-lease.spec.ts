/** Real: Postgres and its clock, the monotonic clock, TCP through a proxy that goes silent. Stands in: nothing. */
import {
  Database,
  LeaderLease,
  type LeaderLeaseOptions,
  LeaseLostError,
  leasesTableSql,
  type Term,
} from '#libs/postgres';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';
import { FaultyNetwork } from './faulty-network.js';
import { until } from './until.js';

let fresh: FreshDatabase;
let database: Database;
const stops: AbortController[] = [];
const runs: Promise<void>[] = [];

beforeAll(async () => {
  fresh = await freshDatabase();
  database = new Database({ url: fresh.url, applicationName: 'spec' });
  await database.query('CREATE SCHEMA spec');
  await database.query(leasesTableSql('spec'));
});
afterEach(async () => {
  stops.splice(0).forEach((stop) => stop.abort());
  await Promise.allSettled(runs.splice(0));
  await database.query('TRUNCATE spec.leases');
});
afterAll(async () => {
  await database.close();
  await fresh.drop();
});

/** All candidates share one event loop: what may hold it up for a while has to fit into the margin. */
const leaseMs = 3_000;
const marginMs = 1_000;

/** A process that seeks the lease, and notes when it led. */
class Candidate {
  readonly terms: { epoch: bigint; from: number; to: number | null; reason: unknown }[] = [];
  term: Term | null = null;
  readonly stop = new AbortController();
  readonly run: Promise<void>;

  constructor(
    holder: string,
    options: Partial<LeaderLeaseOptions> = {},
    lead = (term: Term) => this.leadUntilEnd(term),
  ) {
    const lease = new LeaderLease({
      sql: database,
      schema: 'spec',
      name: 'relay',
      holder,
      leaseMs,
      marginMs,
      renewMs: 150,
      ...options,
    });
    this.run = lease.run(lead, this.stop.signal);
    stops.push(this.stop);
    runs.push(this.run);
  }

  get leading(): boolean {
    return this.term !== null;
  }

  async leadUntilEnd(term: Term): Promise<void> {
    const note = { epoch: term.epoch, from: performance.now(), to: null, reason: null } as {
      epoch: bigint;
      from: number;
      to: number | null;
      reason: unknown;
    };
    this.terms.push(note);
    this.term = term;
    await new Promise((resolve) => term.signal.addEventListener('abort', resolve, { once: true }));
    this.term = null;
    note.to = performance.now();
    note.reason = term.signal.reason;
  }
}

const untilOneLeads = async (...candidates: Candidate[]) => {
  await until(() => candidates.some((candidate) => candidate.leading));
  const leader = candidates.find((candidate) => candidate.leading);
  if (leader === undefined) throw new Error('nobody leads');
  return leader;
};

it('one leads, longer than its lease, and the others stand by', async () => {
  const candidates = [new Candidate('a'), new Candidate('b'), new Candidate('c')];
  const leader = await untilOneLeads(...candidates);
  await new Promise((resolve) => setTimeout(resolve, leaseMs + 500));
  expect(leader.term?.isAlive()).toBe(true);
  expect(candidates.map((candidate) => candidate.terms.length).sort()).toEqual([0, 0, 1]);
});

it('a leader that stops hands over at once, and the epoch grows', async () => {
  const first = new Candidate('a', { leaseMs: 30_000 });
  await untilOneLeads(first);
  const second = new Candidate('b', { leaseMs: 30_000 });
  first.stop.abort();
  await first.run;
  await untilOneLeads(second);
  expect(first.terms.map(({ epoch }) => epoch)).toEqual([1n]);
  expect(second.terms.map(({ epoch }) => epoch)).toEqual([2n]);
});

it('a leader cut off from the database stops itself before another one starts', async () => {
  const network = await FaultyNetwork.before(fresh.url);
  const cutOff = new Database({ url: network.url, applicationName: 'cut off' });
  const first = new Candidate('a', { sql: cutOff });
  await untilOneLeads(first);
  const second = new Candidate('b');
  network.goSilent();
  await untilOneLeads(second);
  expect(first.terms[0]?.reason).toBeInstanceOf(LeaseLostError);
  expect(first.terms[0]?.to ?? Infinity).toBeLessThan(second.terms[0]?.from ?? 0);
  expect(second.terms[0]?.epoch).toBe(2n);

  const stoppedAt = performance.now();
  first.stop.abort();
  await first.run; // what the silent database still owes an answer to is not waited for
  expect(performance.now() - stoppedAt).toBeLessThan(5_000);
  await Promise.all([network.close(), cutOff.close()]);
});

it('a leader that stops while the database is silent ends when its lease does', async () => {
  const network = await FaultyNetwork.before(fresh.url);
  const cutOff = new Database({ url: network.url, applicationName: 'cut off' });
  const leader = new Candidate('a', { sql: cutOff });
  await untilOneLeads(leader);
  network.goSilent();
  const stoppedAt = performance.now();
  leader.stop.abort();
  await leader.run;
  expect(performance.now() - stoppedAt).toBeLessThan(5_000);
  await Promise.all([network.close(), cutOff.close()]);
});

it('a leader whose row is another’s stops at its next renewal', async () => {
  const leader = new Candidate('a', { leaseMs: 30_000 });
  await untilOneLeads(leader);
  await database.query(`UPDATE spec.leases SET holder = 'b', epoch = epoch + 1`);
  await until(() => !leader.leading);
  expect(leader.terms[0]?.reason).toMatchObject({ code: 'lease_lost' });
});

it('a leader that was paused past its lease knows it in the same moment', async () => {
  const leader = new Candidate('a');
  await untilOneLeads(leader);
  const term = leader.term;
  expect(term?.isAlive()).toBe(true);
  const pausedUntil = performance.now() + leaseMs;
  while (performance.now() < pausedUntil); // nothing else of this process runs, as when it is stopped
  expect(term?.isAlive()).toBe(false);
  await until(() => term?.signal.aborted === true);
});

it('does not seek the lease again while its last term is still winding up', async () => {
  const { promise: woundUp, resolve: windUp } = Promise.withResolvers<void>();
  let terms = 0;
  let term: Term | undefined;
  const slow = new Candidate('slow', {}, async (given) => {
    terms++;
    term = given;
    await woundUp;
  });
  await until(() => terms === 1);
  await database.query(`UPDATE spec.leases SET holder = 'b', epoch = 9, until = now()`);
  await until(() => term?.signal.aborted === true);
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(terms).toBe(1); // the row is free all the time
  windUp();
  await until(() => terms === 2);
  expect(term?.epoch).toBe(10n);
  slow.stop.abort();
  await slow.run;
});

it('a lead that fails with what time does not heal ends the run with its error, and frees the lease', async () => {
  const failing = new Candidate('a', { leaseMs: 30_000 }, () => Promise.reject(new Error('a bug')));
  await expect(failing.run).rejects.toThrow('a bug');
  await untilOneLeads(new Candidate('b'));
});

it('a lead that fails with a transient error leads again', async () => {
  let terms = 0;
  const errors: Error[] = [];
  const candidate: Candidate = new Candidate(
    'a',
    { onError: (error) => errors.push(error) },
    async (term) => {
      if (++terms === 1) throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
      await candidate.leadUntilEnd(term);
    },
  );
  await until(() => terms === 2);
  expect(errors.map((error) => error.message)).toEqual(['gone']);
});

it('without its table it ends at once: no waiting mends that', async () => {
  await expect(new Candidate('a', { schema: 'nowhere' }).run).rejects.toMatchObject({
    code: '42P01',
  });
});

it('refuses times that cannot work', () => {
  const options = { sql: database, schema: 'spec', name: 'x', holder: 'a' };
  expect(() => new LeaderLease({ ...options, leaseMs: 1_000, renewMs: 1_000 })).toThrow(RangeError);
});
