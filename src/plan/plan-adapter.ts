import { type Estimate, exactly, within } from './estimate.ts';
import type { PlanFacts } from './facts.ts';
import type { PlanAdapter } from './inputs.ts';
import type { PlannedCost } from './plan-cost.ts';
import type { PlannedTexts } from './plan-texts.ts';
import type { PlannedTime } from './plan-time.ts';

/** What mapping takes in the place of embedding. */
export interface PlannedAdapter extends PlanAdapter {
  /** Reading, mapping and writing every row that is left, were there no old index to maintain. */
  readonly mapSeconds: Estimate;
  /** What `backfill --replace-adapted` takes afterwards: all texts, embedded by the model. */
  readonly replacing: {
    readonly tokens: Estimate | undefined;
    readonly usd: Estimate | undefined;
    readonly seconds: Estimate | undefined;
  };
}

/** Rows a second from old vector to new one, 1,536 to 384 dimensions on two cores: what `bench/adapter` asks for. */
export const MAP_RATE = 18_000;
/** Other processors, disks and sizes. */
const MAP_FACTOR = 3;

interface Reckoned {
  readonly texts: PlannedTexts | undefined;
  readonly requests: Estimate | undefined;
  readonly cost: PlannedCost;
  readonly time: PlannedTime;
}

/** The numbers of a plan by an adapter: no text is read and nobody is paid; what the model itself would have cost is for later. */
export function reckonByAdapter(
  facts: Pick<PlanFacts, 'rowsEstimate'>,
  real: Reckoned,
  adapter: PlanAdapter,
): Omit<Reckoned, 'texts'> & { readonly adapter: PlannedAdapter } {
  const { texts, cost, time } = real;
  const rows = Math.max(0, facts.rowsEstimate - (texts?.done.value ?? 0));
  const mapSeconds = within(rows / MAP_RATE, MAP_FACTOR);
  const backfillSeconds = mapSeconds.value > time.writeSeconds.value ? mapSeconds : time.writeSeconds;
  return {
    requests: undefined,
    cost: { ...cost, usd: exactly(0), overBudget: cost.budgetUsd === undefined ? undefined : false },
    time: { ...time, embedSeconds: undefined, backfillSeconds },
    adapter: {
      ...adapter,
      mapSeconds,
      replacing: { tokens: texts?.tokens, usd: cost.usd, seconds: time.backfillSeconds },
    },
  };
}
