import { retentionSettings } from './retention-settings.js';
import { SettingReader } from './settings.js';

const DAY_MS = 86_400_000;
const LONGEST_TOPIC_MS = 30 * DAY_MS;

function parse(env: Readonly<Record<string, string>>) {
  const read = new SettingReader(env);
  return read.result(retentionSettings(read, LONGEST_TOPIC_MS));
}

function refusals(env: Readonly<Record<string, string>>): string[] {
  const parsed = parse(env);
  return parsed.kind === 'settings'
    ? []
    : parsed.problems.map(({ name, reason }) => `${name} ${reason}`);
}

it('without settings, details go after 30 days, runs after 90, contents 24 hours after their last use', () => {
  expect(parse({})).toEqual({
    kind: 'settings',
    settings: { detailMs: 30 * DAY_MS, runsMs: 90 * DAY_MS, contentMs: DAY_MS },
  });
});

it('0 keeps for ever', () => {
  const env = {
    HOLDFAST_KEEP_DETAIL_DAYS: '0',
    HOLDFAST_KEEP_RUNS_DAYS: '0',
    HOLDFAST_KEEP_CONTENT_HOURS: '0',
  };
  expect(parse(env)).toMatchObject({ settings: { detailMs: 0, runsMs: 0, contentMs: 0 } });
});

describe('refused, with both sides named:', () => {
  it.each([
    ['details that outlive their run', '60', '45'],
    ['details for ever of a run that goes', '0', '90'],
  ])('%s', (_, detail, runs) => {
    const env = { HOLDFAST_KEEP_DETAIL_DAYS: detail, HOLDFAST_KEEP_RUNS_DAYS: runs };
    expect(refusals(env)).toEqual([
      expect.stringMatching(/^HOLDFAST_KEEP_RUNS_DAYS .*HOLDFAST_KEEP_DETAIL_DAYS/),
    ]);
  });

  it('runs that go while a topic may still hold a message of theirs', () => {
    const env = { HOLDFAST_KEEP_DETAIL_DAYS: '5', HOLDFAST_KEEP_RUNS_DAYS: '29' };
    expect(refusals(env)).toEqual([
      expect.stringMatching(
        /^HOLDFAST_KEEP_RUNS_DAYS .*30 at least, the longest retention of a topic/,
      ),
    ]);
    expect(refusals({ ...env, HOLDFAST_KEEP_RUNS_DAYS: '30' })).toEqual([]);
  });

  it('contents that go while a run may be about to name them', () => {
    expect(refusals({ HOLDFAST_KEEP_CONTENT_HOURS: '1' })).toHaveLength(1);
  });
});
