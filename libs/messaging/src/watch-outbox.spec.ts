/** Stands in: the relay, which says what the property wants. */
import { silentLog, type LogFields } from '#libs/process';
import type { RelayStatus } from './outbox/outbox-relay.js';
import { watchOutbox } from './watch-outbox.js';

const status: RelayStatus = {
  ...{ leading: false, epoch: null, published: 0, refused: 0, failure: null },
};

/** What is logged over these ages, one look each. */
async function logged(ages: readonly (number | Error)[]): Promise<LogFields[]> {
  const stop = new AbortController();
  const lines: LogFields[] = [];
  const left = [...ages];
  const oldestMs = () => {
    const age = left.shift() ?? 0;
    if (left.length === 0) stop.abort();
    return age instanceof Error ? Promise.reject(age) : Promise.resolve(age);
  };
  const log = { ...silentLog, warn: (fields: LogFields) => void lines.push(fields) };
  await watchOutbox({ status: () => status, oldestMs }, log, stop.signal, 0);
  return lines;
}

describe('an outbox', () => {
  it('that drains is not worth a line', async () => {
    expect(await logged([0, 50, 9_000])).toEqual([]);
  });

  it('that does not drain is, at each look, with its age, also where no relay leads', async () => {
    const problem = expect.stringContaining('12 s') as string;
    expect(await logged([12_000, 0, 12_000])).toEqual([{ problem }, { problem }]);
  });

  it('that cannot be asked is looked at again', async () => {
    const gone = new Error('gone');
    expect(await logged([gone, 12_000])).toMatchObject([{ error: gone }, {}]);
  });
});
