import type { SettingReader } from './settings.js';

/** How long things are kept; both apps read the same settings. 0: for ever. */
export interface RetentionSettings {
  /**
   * `HOLDFAST_KEEP_DETAIL_DAYS`: history, results, check-points, attempts and what the model said, counted from the end of the
   * run; and events that could not be read. Default 30. 0: for ever.
   */
  readonly detailMs: number;
  /**
   * `HOLDFAST_KEEP_RUNS_DAYS`: what is left of the run then, counted from its end too: that it was, how it ended, what it
   * used, and its idempotency key. Default 90. 0: for ever.
   */
  readonly runsMs: number;
  /**
   * `HOLDFAST_KEEP_CONTENT_HOURS`: documents, inputs and results, counted from when nothing needs them any more. Default 24.
   * 0: for ever.
   */
  readonly contentMs: number;
}

export type Keep = keyof RetentionSettings;

/** For people, by field. */
export const keepSettings: Readonly<
  Record<Keep, { readonly name: string; readonly kept: string }>
> = {
  detailMs: { name: 'HOLDFAST_KEEP_DETAIL_DAYS', kept: '30 days' },
  runsMs: { name: 'HOLDFAST_KEEP_RUNS_DAYS', kept: '90 days' },
  contentMs: { name: 'HOLDFAST_KEEP_CONTENT_HOURS', kept: '24 hours' },
};

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_DAYS = 3_650;
/** A reference is committed within minutes of its content; this is far more. */
const MIN_CONTENT_HOURS = 3;

/**
 * A message that lies on a topic for `longestTopicMs` may come again for as long. It must find the row that says that its run
 * is known, or the run would be carried out, or shown, a second time.
 */
export function retentionSettings(read: SettingReader, longestTopicMs: number): RetentionSettings {
  const days = { min: 0, max: MAX_DAYS };
  const detailDays = read.wholeNumber(keepSettings.detailMs.name, { fallback: 30, ...days });
  const runsDays = read.wholeNumber(keepSettings.runsMs.name, { fallback: 90, ...days });
  const contentHours = read.wholeNumber(keepSettings.contentMs.name, {
    fallback: 24,
    min: 0,
    max: MAX_DAYS * 24,
  });
  if (contentHours > 0 && contentHours < MIN_CONTENT_HOURS) {
    read.refuse(
      keepSettings.contentMs.name,
      `must be 0 (for ever) or ${MIN_CONTENT_HOURS} at least: a run may be about to name the content`,
    );
  }
  if (runsDays > 0 && runsDays * DAY_MS < longestTopicMs) {
    read.refuse(
      keepSettings.runsMs.name,
      `must be 0 (for ever) or ${Math.ceil(longestTopicMs / DAY_MS)} at least, the longest retention of a topic: an old message would run again`,
    );
  }
  if (runsDays > 0 && (detailDays === 0 || detailDays > runsDays)) {
    read.refuse(
      keepSettings.runsMs.name,
      `must be 0 (for ever) or at least ${keepSettings.detailMs.name} (${detailDays === 0 ? '0 is for ever' : detailDays}): a run outlives its details`,
    );
  }
  return {
    detailMs: detailDays * DAY_MS,
    runsMs: runsDays * DAY_MS,
    contentMs: contentHours * HOUR_MS,
  };
}
