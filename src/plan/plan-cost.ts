import { isRemote } from '../config/provider-names.ts';
import type { ModelReference } from '../config/types.ts';
import { findPrice } from '../providers/prices.ts';
import { type Estimate, exactly, times } from './estimate.ts';
import type { PlanPrice } from './inputs.ts';
import { type PlannedTexts, tokensToSend } from './plan-texts.ts';

/** What the provider is paid for embedding every text once. */
export interface PlannedCost {
  /** US dollars; undefined where the tokens or the price are not known. */
  readonly usd: Estimate | undefined;
  readonly price: PlanPrice | undefined;
  /** US dollars that may be spent; undefined where no budget is set. */
  readonly budgetUsd: number | undefined;
  /** True when the cost is over the budget, undefined when one of the two is not known. */
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
): PlannedCost {
  const usd = usdOf(texts, price);
  const overBudget = usd === undefined || budgetUsd === undefined ? undefined : usd.value > budgetUsd;
  return { usd, price, budgetUsd, overBudget };
}

function usdOf(texts: PlannedTexts | undefined, price: PlanPrice | undefined): Estimate | undefined {
  if (price?.usdPerMillionTokens === 0) return exactly(0);
  if (texts === undefined || price === undefined) return undefined;
  return times(tokensToSend(texts), price.usdPerMillionTokens / 1e6);
}
