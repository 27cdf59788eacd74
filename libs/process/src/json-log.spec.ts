import { JsonLog } from './json-log.js';
import type { LogLevel } from './settings.js';

function setUp(level: LogLevel = 'debug') {
  const lines: string[] = [];
  const log = new JsonLog(level, (line) => lines.push(line));
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
      message: 'two\nlines',
      runId: 'run_1',
      fence: '7',
      error: 'Error: gone\nfor good',
    });
  });

  it('leaves out what is below its level', () => {
    const { log, entries } = setUp('warn');
    log.debug({}, 'a');
    log.info({}, 'b');
    log.warn({}, 'c');
    log.error({}, 'd');
    expect(entries().map(({ message }) => message)).toEqual(['c', 'd']);
  });

  it('understands Nest, and keeps its chatter at start for debugging', () => {
    const { log, entries } = setUp('info');
    log.log('Mapped {/v1/runs, POST} route', 'RouterExplorer');
    log.log('Drained', 'Drain');
    log.error('It broke', 'at line 1', 'Drain');
    expect(entries()).toMatchObject([
      { level: 'info', message: 'Drained', context: 'Drain' },
      { level: 'error', message: 'It broke', context: 'Drain', detail: 'at line 1' },
    ]);
  });
});
