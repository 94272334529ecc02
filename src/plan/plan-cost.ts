import { isRemote } from '../config/provider-names.ts';
import type { ModelReference } from '../config/types.ts';
import { findPrice } from '../providers/prices.ts';
import { type Estimate, exactly, times } from './estimate.ts';
import type { PlanPrice, PlanSpent } from './inputs.ts';
import { type PlannedTexts, tokensToSend } from './plan-texts.ts';

/** What the provider is paid for embedding once every text that is left. */
export interface PlannedCost {
  /** US dollars that are still to be spent; undefined where the tokens or the price are not known. */
  readonly usd: Estimate | undefined;
  readonly price: PlanPrice | undefined;
  /** US dollars that the migration's runs so far have spent. */
  readonly spentUsd: number;
  /** US dollars that all runs together may spend; undefined where no budget is set. */
  readonly budgetUsd: number | undefined;
  /** True when the cost is over what is left of the budget, undefined when one of the two is not known. */
  readonly overBudget: boolean | undefined;
}

/** The price that holds: the one asked for, else the environment's, else the table's. A model on this machine costs nothing a token. */
export function choosePrice(
  reference: Pick<ModelReference, 'provider' | 'model'>,
  given: { readonly flag?: number | undefined; readonly env?: number | undefined } = {},
): PlanPrice | undefined {
  if (given.flag !== undefined) return { usdPerMillionTokens: given.flag, source: '--price' };
  if (!isRemote(reference.provider)) return { usdPerMillionTokens: 0, source: 'the model runs here' };
  if (given.env !== undefined) return { usdPerMillionTokens: given.env, source: 'EMBEDDING_PRICE' };
  const found = findPrice(reference.provider, reference.model);
  if (found === undefined) return undefined;
  return { usdPerMillionTokens: found.usdPerMillionTokens, source: `${found.source}, ${found.asOf}` };
}

export function planCost(
  texts: PlannedTexts | undefined,
  price: PlanPrice | undefined,
  budgetUsd: number | undefined,
  spent: PlanSpent = { usd: 0, unpricedTokens: 0 },
): PlannedCost {
  const usd = usdOf(texts, price);
  const spentUsd = spent.usd + (spent.unpricedTokens * (price?.usdPerMillionTokens ?? 0)) / 1e6;
  const overBudget =
    usd === undefined || budgetUsd === undefined ? undefined : isBeyond(usd.value, { spentUsd, budgetUsd });
  return { usd, price, spentUsd, budgetUsd, overBudget };
}

/** Whether so many US dollars more go beyond what is left; nothing more never does. */
export function isBeyond(
  usd: number,
  { spentUsd, budgetUsd }: { readonly spentUsd: number; readonly budgetUsd: number },
): boolean {
  return usd > 0 && spentUsd + usd > budgetUsd;
}

function usdOf(texts: PlannedTexts | undefined, price: PlanPrice | undefined): Estimate | undefined {
  if (price?.usdPerMillionTokens === 0) return exactly(0);
  if (texts === undefined || price === undefined) return undefined;
  return times(tokensToSend(texts), price.usdPerMillionTokens / 1e6);
}
