/** Real: processes of this machine. */
import { spawn } from 'node:child_process';
import { identify, isAlive, parseProcStat, signalProcess } from './process-identity.js';

describe('which process an id means', () => {
  it('reads a stat line whose process name holds blanks and brackets', () => {
    const after = ['S', ...Array.from({ length: 18 }, () => '0'), '4711', '0'].join(' ');
    expect(parseProcStat(`42 (a) b (c)) ${after}`)).toEqual({ state: 'S', startTick: '4711' });
  });

  it('knows this process, and no process of the same id that started at another time', async () => {
    const self = await identify(process.pid);
    expect(self && (await isAlive(self))).toBe(true);
    expect(await isAlive({ pid: process.pid, startMark: 'another start' })).toBe(false);
  });

  it('signals nobody when the id now means another process', async () => {
    const child = spawn('sleep', ['30']);
    const pid = child.pid ?? NaN;
    expect(await signalProcess({ pid, startMark: 'another start' }, 'SIGKILL')).toBe(false);
    const identity = await identify(pid);
    expect(identity && (await signalProcess(identity, 'SIGKILL'))).toBe(true);
    await new Promise((resolve) => child.once('exit', resolve));
    expect(identity && (await isAlive(identity))).toBe(false);
  });
});
