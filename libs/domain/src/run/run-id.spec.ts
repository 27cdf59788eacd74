import fc from 'fast-check';
import { isRunId, runIdOf, uuidOf } from './run-id.js';

describe('a run id', () => {
  it('holds its UUID, there and back', () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        expect(isRunId(runIdOf(uuid))).toBe(true);
        expect(uuidOf(runIdOf(uuid))).toBe(uuid);
      }),
    );
  });

  it.each([
    '',
    'run_',
    '0198a1de-0000-7000-8000-000000000000',
    'run_0198A1DE-0000-7000-8000-000000000000',
    'run_0198a1de-0000-7000-8000-000000000000 ',
    'run_0198a1de-0000-7000-8000-000000000000\n',
    'run_------------------------------------',
  ])('is not %j', (text) => {
    expect(isRunId(text)).toBe(false);
  });
});
