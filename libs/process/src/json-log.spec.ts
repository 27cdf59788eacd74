import { JsonLog } from './json-log.js';
import { NestLog } from './nest-log.js';
import type { LogFields } from './field-log.js';
import type { LogLevel } from './settings.js';

function setUp(level: LogLevel = 'debug') {
  const lines: string[] = [];
  const log = new JsonLog(level, (line) => lines.push(line), 'api');
  return {
    log,
    entries: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    lines,
  };
}

describe('the log', () => {
  it('is one line of JSON per entry, whatever is in it', () => {
    const { log, lines, entries } = setUp();
    log.warn({ runId: 'run_1', fence: 7n, error: new Error('gone\nfor good') }, 'two\nlines');
    expect(lines).toHaveLength(1);
    expect(lines[0]!.match(/\n/g)).toHaveLength(1);
    expect(entries()[0]).toMatchObject({
      level: 'warn',
      app: 'api',
      pid: process.pid,
      message: 'two\nlines',
      runId: 'run_1',
      fence: '7',
      error: 'Error: gone\nfor good',
    });
    expect(Date.parse(String(entries()[0]!['time']))).toBeGreaterThan(0);
  });

  it('leaves out what is below its level', () => {
    const { log, entries } = setUp('warn');
    log.debug({}, 'a');
    log.info({}, 'b');
    log.warn({}, 'c');
    log.error({}, 'd');
    expect(entries().map(({ message }) => message)).toEqual(['c', 'd']);
  });

  it('holds no field that is not listed, and no object, whatever it is given', () => {
    const { log, lines } = setUp();
    const request = { headers: { authorization: 'hunter2' } };
    const careless = {
      input: 'hunter2',
      request,
      runId: request,
      attempt: 'hunter2',
      message: 'x',
    };
    log.error(careless as unknown as LogFields, 'said');
    expect(lines[0]).not.toContain('hunter2');
    expect(JSON.parse(lines[0]!)).toMatchObject({ message: 'said' });
  });

  it('cuts what is too long to be an id or a sentence', () => {
    const { log, entries } = setUp();
    log.info({ runId: 'x'.repeat(5_000), reason: 'y'.repeat(5_000) }, 'long');
    expect(String(entries()[0]!['runId'])).toHaveLength(200);
    expect(String(entries()[0]!['reason'])).toHaveLength(1_000);
  });

  it('understands Nest, and keeps its chatter at start for debugging', () => {
    const { log, entries } = setUp('info');
    const nest = new NestLog(log);
    nest.log('Mapped {/v1/runs, POST} route', 'RouterExplorer');
    nest.log('Drained', 'Drain');
    nest.error('It broke', 'Error: hunter2\n    at line 1', 'Drain');
    nest.error(new SyntaxError('hunter2'));
    expect(entries()).toMatchObject([
      { level: 'info', message: 'Drained', context: 'Drain' },
      { level: 'error', message: 'It broke', context: 'Drain' },
      { level: 'error', message: 'Nest met an error', error: 'SyntaxError' },
    ]);
    expect(JSON.stringify(entries())).not.toContain('hunter2');
  });
});
