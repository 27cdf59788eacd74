import { decisionNames, type DecisionName } from '#libs/domain';
import { parseDecisionCommand } from './parse-message.js';
import { decisionNameOf, decisionTypeOf } from './run-decisions.js';

const uuid = '01a20b6d-702d-71dd-b5d0-54204df1b61c';
const data = {
  ...{ decisionId: `dec_${uuid}`, runId: `run_${uuid}`, tenant: 'bids', reason: 'asked for twice' },
  resultRef: 'cnt_x',
};
const parse = (decision: DecisionName, changes: object = {}) =>
  parseDecisionCommand({ type: decisionTypeOf(decision), data: { ...data, ...changes } });

describe('a command that asks for a decision', () => {
  it.each(decisionNames)('%s has a type of its own, and can be read', (decision) => {
    expect(decisionNameOf(decisionTypeOf(decision))).toBe(decision);
    expect(parse(decision)).toMatchObject({ kind: 'parsed', value: { decision, data } });
  });

  it('needs no reason, but for a discard', () => {
    expect(parse('cancel', { reason: null }).kind).toBe('parsed');
    expect(parse('discard', { reason: null }).kind).toBe('invalid');
  });

  it.each([
    ['cancel', { decisionId: uuid }],
    ['redrive', { runId: uuid }],
    ['redrive', { tenant: '' }],
    ['complete', { resultRef: undefined }],
  ] as const)('%s with %o is invalid', (decision, changes) => {
    expect(parse(decision, changes).kind).toBe('invalid');
  });

  it('of an unknown type is told apart', () => {
    expect(parseDecisionCommand({ type: 'dev.holdfast.run.pause-requested.v1', data })).toEqual({
      ...{ kind: 'unknown_type', type: 'dev.holdfast.run.pause-requested.v1' },
    });
  });
});
