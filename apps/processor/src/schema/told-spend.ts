/** What a run has used and cost, in the form in which events tell it. Pure. */
import type { CostPart, SpendPart, UsagePart } from '#libs/contracts';
import { addUsd, printUsd } from '#libs/domain';
import type { RunSpend } from '#libs/openai-gateway';

export interface ToldSpend {
  readonly usage: UsagePart;
  readonly cost: CostPart;
  readonly spend: SpendPart[];
}

/** @param maxCostUsd the run's budget; null: it has none */
export function toldSpendOf(spent: readonly RunSpend[], maxCostUsd: string | null): ToldSpend {
  const total = (pick: (each: RunSpend) => number) =>
    spent.reduce((sum, each) => sum + pick(each), 0);
  return {
    usage: {
      calls: total((each) => each.counted),
      inputTokens: total((each) => each.inputTokens),
      cachedInputTokens: total((each) => each.cachedInputTokens),
      outputTokens: total((each) => each.outputTokens),
      reasoningTokens: total((each) => each.reasoningTokens),
    },
    cost: {
      bookedUsd: printUsd(addUsd(...spent.map(({ booked }) => booked))),
      uncertainUsd: printUsd(addUsd(...spent.map(({ uncertain }) => uncertain))),
      maxCostUsd,
    },
    spend: spent.map(partOf),
  };
}

function partOf(each: RunSpend): SpendPart {
  const { day, model, calls, inputTokens, cachedInputTokens, outputTokens } = each;
  return {
    ...{ day, model, calls, inputTokens, cachedInputTokens, outputTokens },
    bookedUsd: printUsd(each.booked),
    uncertainUsd: printUsd(each.uncertain),
    retriesUsd: printUsd(each.retries),
  };
}
