import { errorFields, wordsOf } from './error-words.js';

const failing = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};
const having = (error: Error, more: object) => Object.assign(error, more);
const postgres = (code: string) =>
  having(new Error('value hunter2'), { name: 'error', severity: 'ERROR', code, detail: 'hunter2' });

describe('of an error the log repeats', () => {
  it.each([
    ['ours', having(new Error('run is gone'), { name: 'RunGoneError', code: 'run_gone' })],
    ['a lost server', having(new Error('connect ECONNREFUSED'), { code: 'X', syscall: 'connect' })],
    ['Kafka', having(new Error('not the leader'), { name: 'KafkaJSProtocolError' })],
    ['Postgres going down', postgres('57P01')],
    ['a plain one', new Error('Connection terminated unexpectedly')],
  ])('the words of %s', (_whose, error) => {
    expect(wordsOf(error)).toBe(`${error.name}: ${error.message}`);
  });

  it.each([
    ['JSON.parse', failing(() => JSON.parse('hunter2'))],
    ['a number', failing(() => BigInt('hunter2'))],
    ['an address', failing(() => new URL('hunter2'))],
    ['an argument', failing(() => Buffer.alloc('hunter2' as unknown as number))],
    ['a refused value', postgres('22P02')],
    ['a key that is taken', postgres('23505')],
    [
      'OpenAI',
      having(new Error('bad key hunter2'), {
        name: 'AuthenticationError',
        code: 'invalid_api_key',
        requestID: 'r',
      }),
    ],
    ['no error at all', { message: 'hunter2' }],
    ['a text', 'hunter2'],
  ])('no words of %s, only what it is and where', (_whose, error) => {
    const fields = errorFields(error, { stack: true });
    expect(JSON.stringify(fields)).not.toContain('hunter2');
    expect(fields.error.length).toBeGreaterThan(0);
  });

  it('its causes by the same rule, with their codes', () => {
    const cause = new Error('away', { cause: postgres('22P02') });
    const error = having(new Error('cannot go on', { cause }), {
      name: 'StuckError',
      code: 'stuck',
    });
    expect(errorFields(error)).toEqual({
      error: 'StuckError: cannot go on',
      errorCode: 'stuck',
      causes: ['Error: away', 'error [22P02]'],
    });
  });

  it('the place in code, without lines that a message brings along', () => {
    const { stack } = errorFields(new SyntaxError('hunter2\n    at hunter2 (x:1:1)'), {
      stack: true,
    });
    expect(stack?.[0]).toContain('error-words.spec');
    expect(JSON.stringify(stack)).not.toContain('hunter2');
  });
});
