/** Spend as callers see it: dollars as text, and what part of it went to retries and to lost calls. Pure. */
import type { UsageReport, UsageSums } from '#libs/contracts';
import { nanoUsd, printUsd } from '#libs/domain';
import type { UsageFilter } from './usage-filter.js';
import type { DaySpend } from './usage.store.js';

type Sums = Omit<DaySpend, 'day' | 'workflow' | 'model'>;

export function usageReportOf(
  { tenant, from, to }: UsageFilter,
  spend: readonly DaySpend[],
): UsageReport {
  return {
    ...{ from, to },
    rows: spend.map(({ day, workflow, model, ...sums }) => {
      return { day, tenant, workflow, model, ...shown(sums) };
    }),
    total: shown(spend.reduce(added, nothing)),
  };
}

const nothing: Sums = {
  ...{ runs: 0, calls: 0, inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 },
  ...{ booked: 0n, uncertain: 0n, retries: 0n },
};

/** A run that worked on two days, or with two models, counts for each. */
const added = (sums: Sums, each: Sums): Sums => ({
  runs: sums.runs + each.runs,
  calls: sums.calls + each.calls,
  inputTokens: sums.inputTokens + each.inputTokens,
  cachedInputTokens: sums.cachedInputTokens + each.cachedInputTokens,
  outputTokens: sums.outputTokens + each.outputTokens,
  booked: sums.booked + each.booked,
  uncertain: sums.uncertain + each.uncertain,
  retries: sums.retries + each.retries,
});

function shown({ booked, uncertain, retries, ...counts }: Sums): UsageSums {
  const all = booked + uncertain;
  return {
    ...counts,
    bookedUsd: printUsd(nanoUsd(booked)),
    uncertainUsd: printUsd(nanoUsd(uncertain)),
    retriesUsd: printUsd(nanoUsd(retries)),
    uncertainShare: shareOf(uncertain, all),
    retriesShare: shareOf(retries, all),
  };
}

/** With four decimals. */
const shareOf = (part: bigint, all: bigint): number | null =>
  all === 0n ? null : Number((part * 10_000n) / all) / 10_000;
