/**
 * Real: `dist/dev/stack/main.js` as a process of its own with a Postgres of its own. Stands in: nothing; Kafka is the one that all
 * specs share, named as a server of one's own.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { execFile, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, isAlive } from '../../../dev/stack/process-identity.js';
import type { ProcessIdentity } from '../../../dev/stack/process-identity.js';
import { startApp } from '../../support/app-process.js';
import type { AppProcess } from '../../support/app-process.js';
import { kafkaBrokers } from '../../support/stack.js';

const run = promisify(execFile);

describe('the supervisor of the servers', () => {
  let folder: string;
  let data: string;
  const started: AppProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-spec-'));
    await chmod(folder, 0o711); // the system user of Postgres must get in
    data = join(folder, 'stack');
  });
  afterEach(async () => {
    for (const app of started.splice(0)) await app.stop();
    await rm(folder, { recursive: true, force: true });
  });

  function startStack(): AppProcess {
    const app = startApp({
      script: 'dev/stack/main.js',
      args: ['--data', data],
      env: { KAFKA_BROKERS: kafkaBrokers().join(',') },
    });
    started.push(app);
    return app;
  }

  async function postgres(): Promise<ProcessIdentity> {
    const record = JSON.parse(await readFile(join(data, 'processes.json'), 'utf8')) as {
      children: (ProcessIdentity & { name: string })[];
    };
    const found = record.children.find(({ name }) => name === 'Postgres');
    if (!found) throw new Error('Postgres is not in the record');
    return { pid: found.pid, startMark: found.startMark };
  }

  it('ends its children when it is asked to end, and finds its data again', async () => {
    const first = startStack();
    await first.ready();
    const server = await postgres();
    expect(await first.stop()).toMatchObject({ code: 0 });
    expect(await isAlive(server)).toBe(false);

    const second = startStack();
    await second.ready();
    expect(await second.stop()).toMatchObject({ code: 0 });
  });

  it('killed hard, its watchdog ends the children', async () => {
    const app = startStack();
    await app.ready();
    const server = await postgres();
    await app.killHard();
    await untilGone(server, 10_000);
  });

  it('killed hard together with its watchdog, the next start ends the children and goes on', async () => {
    const first = startStack();
    await first.ready();
    const orphan = await postgres();
    process.kill(await watchdogOf(first.pid), 'SIGKILL');
    await first.killHard();
    expect(await isAlive(orphan)).toBe(true);

    const second = startStack();
    await second.ready();
    expect(second.output()).toContain(`Ending Postgres (process ${orphan.pid}), left over`);
    expect(await isAlive(orphan)).toBe(false);
  });

  it('leaves alone a process that only carries the id of a recorded one', async () => {
    await mkdir(data);
    const bystander = await identify(process.pid);
    const dead = { pid: 2 ** 22 + 1, startMark: 'long ago' };
    const child = {
      ...dead,
      pid: process.pid,
      name: 'Postgres',
      stopSignal: 'SIGKILL',
      graceMs: 0,
    };
    await writeFile(
      join(data, 'processes.json'),
      JSON.stringify({ owner: dead, children: [child] }),
    );
    await startStack().ready();
    expect(bystander && (await isAlive(bystander))).toBe(true);
  });

  it('is refused a folder that another holds, and told who holds it', async () => {
    const first = startStack();
    await first.ready();
    const second = startStack();
    expect(await second.exited).toMatchObject({ code: 1 });
    expect(second.output()).toContain(`(process ${first.pid})`);
  });

  it('starts over where initdb or the lock file of Postgres was left half-way', async () => {
    await mkdir(join(data, 'postgres.new', 'base'), { recursive: true });
    const first = startStack();
    await first.ready();
    await first.stop();
    // An id that Postgres believes in: it belongs to a living process of its own user.
    const { uid, gid } = await stat(join(data, 'postgres'));
    const stranger = spawn('sleep', ['60'], { uid, gid, cwd: '/' });
    try {
      await writeFile(join(data, 'postgres/postmaster.pid'), `${stranger.pid}\n`);
      await startStack().ready();
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    } finally {
      stranger.kill();
    }
  });
});

async function untilGone(identity: ProcessIdentity, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  while (await isAlive(identity)) {
    if (performance.now() > until) throw new Error(`process ${identity.pid} still lives`);
    await sleep(20);
  }
}

async function watchdogOf(supervisorPid: number): Promise<number> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,args=']);
  const line = stdout
    .split('\n')
    .map((text) => text.trim().split(/\s+/))
    .find(([, ppid, ...args]) => ppid === String(supervisorPid) && /watchdog/.test(args.join(' ')));
  return Number(line?.[0]);
}
