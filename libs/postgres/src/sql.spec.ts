import { StatementNameTakenError } from './postgres-errors.js';
import { hotStatement, statement } from './sql.js';

describe('statement', () => {
  it('is the same statement under the same name and text', () => {
    expect(statement('spec.same', 'SELECT 1')).toEqual({
      ...{ name: 'spec.same', text: 'SELECT 1', planned: 'each_time' },
    });
    expect(statement('spec.same', 'SELECT 1')).toEqual(statement('spec.same', 'SELECT 1'));
  });

  it('refuses another text under a name at once, not on the first connection that has both', () => {
    statement('spec.taken', 'SELECT 1');
    expect(() => statement('spec.taken', 'SELECT 2')).toThrow(StatementNameTakenError);
    expect(() => hotStatement('spec.taken', 'SELECT 1')).toThrow(StatementNameTakenError);
  });

  it('refuses a name that Postgres would cut short', () => {
    expect(() => statement('x'.repeat(64), 'SELECT 1')).toThrow(RangeError);
    expect(() => statement('', 'SELECT 1')).toThrow(RangeError);
  });
});
