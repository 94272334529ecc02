import { ModelError, messageOf } from '../../errors.ts';
import type { SearchLayout } from './layout.ts';
import { type SearchPlan, WORDS_ALONE } from './plan-search.ts';
import type { QueryEncoder } from './query-encoder.ts';
import { sideOf } from './read-lists.ts';
import type { Side } from './types.ts';

export interface EncodedPlan {
  readonly plan: SearchPlan;
  readonly vectors: { readonly [side in Side]?: string };
  readonly failure: string | undefined;
}

/**
 * The query by each model that the plan needs. Where words are asked as well, they alone answer when a model cannot; and the active side goes
 * without the few rows that the other one has when that one's model cannot.
 */
export async function encodeQuery(
  text: string,
  encoders: Readonly<Record<Side, QueryEncoder | undefined>>,
  layout: SearchLayout,
  plan: SearchPlan,
  signal: AbortSignal | undefined,
): Promise<EncodedPlan> {
  const vectors: { [side in Side]?: string } = {};
  let failure: string | undefined;
  try {
    await Promise.all(
      plan.sides.map(async (side) => {
        const { name, target, model } = sideOf(layout, side);
        const column = { side, name, dimensions: target.dimensions, model };
        const encoder = encoders[side];
        if (encoder === undefined) return;
        try {
          vectors[side] = await encoder.encode(text, column, signal);
        } catch (error) {
          if (plan.served !== layout.active || side === plan.served || isLasting(error, signal)) throw error;
          failure = messageOf(error);
        }
      }),
    );
    const sides = plan.sides.filter((side) => vectors[side] !== undefined);
    return { plan: { ...plan, sides }, vectors, failure };
  } catch (error) {
    if (plan.keyword !== 'all' || isLasting(error, signal)) throw error;
    return { plan: WORDS_ALONE, vectors: {}, failure: messageOf(error) };
  }
}

/** A configuration to be mended, or nobody who waits any more. */
function isLasting(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true || (error instanceof ModelError && WRONG_MODEL.has(error.code));
}

const WRONG_MODEL: ReadonlySet<string> = new Set(['model_differs', 'dimensions_differ']);
